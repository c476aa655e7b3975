#define _GNU_SOURCE 1  // pthread_setname_np

// The options are not constants here, so libcurl's compile-time check of their types has nothing to look at.
#define CURL_DISABLE_TYPECHECK 1

#include "CCurl.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int ccurl_global_init(void) { return (int)curl_global_init(CURL_GLOBAL_DEFAULT); }

bool ccurl_has_http2(void) {
  const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
  return info != NULL && (info->features & CURL_VERSION_HTTP2) != 0;
}

const char *ccurl_strerror(int code) { return curl_easy_strerror((CURLcode)code); }

void ccurl_name_thread(const char *name) { (void)pthread_setname_np(pthread_self(), name); }

void *ccurl_easy_new(void) { return curl_easy_init(); }

void ccurl_easy_free(void *easy) { curl_easy_cleanup(easy); }

void ccurl_easy_reset(void *easy) { curl_easy_reset(easy); }

int ccurl_set_long(void *easy, CURLoption option, long value) { return (int)curl_easy_setopt(easy, option, value); }

int ccurl_set_large(void *easy, CURLoption option, int64_t value) {
  return (int)curl_easy_setopt(easy, option, (curl_off_t)value);
}

int ccurl_set_string(void *easy, CURLoption option, const char *value) {
  return (int)curl_easy_setopt(easy, option, value);
}

int ccurl_set_error_buffer(void *easy, char *buffer) {
  return (int)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, buffer);
}

int ccurl_set_headers(void *easy, struct curl_slist *headers) {
  return (int)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
}

int ccurl_set_body(void *easy, const void *bytes, int64_t count) {
  CURLcode code = curl_easy_setopt(easy, CURLOPT_POST, 1L);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, count > 0 ? (const char *)bytes : "");
  return (int)code;
}

int ccurl_set_callbacks(void *easy, ccurl_data_callback header, ccurl_data_callback body,
                        ccurl_data_callback reader, ccurl_prereq_callback prereq, void *context) {
  CURLcode code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_HEADERDATA, context);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, context);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_READFUNCTION, reader);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_READDATA, context);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, prereq);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_PREREQDATA, context);
  return (int)code;
}

int ccurl_pause(void *easy, int directions) { return (int)curl_easy_pause(easy, directions); }

int ccurl_limit_protocols(void *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
  CURLcode code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  CURLcode code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  if (code == CURLE_OK)
    code = curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  return (int)code;
}

void ccurl_abandon_resolver(void *easy) {
#if LIBCURL_VERSION_NUM >= 0x075700
  // Without it libcurl joins the resolver's thread when a transfer times out or is cancelled, and that would hold up
  // every other transfer of the loop for as long as getaddrinfo() takes. An older library at run time says
  // "unknown option", which costs promptness, not correctness.
  (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#else
  (void)easy;
#endif
}

long ccurl_get_long(void *easy, CURLINFO info) {
  long value = 0;
  return curl_easy_getinfo(easy, info, &value) == CURLE_OK ? value : 0;
}

int64_t ccurl_get_large(void *easy, CURLINFO info) {
  curl_off_t value = 0;
  return curl_easy_getinfo(easy, info, &value) == CURLE_OK ? (int64_t)value : 0;
}

const char *ccurl_get_string(void *easy, CURLINFO info) {
  char *value = NULL;
  return curl_easy_getinfo(easy, info, &value) == CURLE_OK ? value : NULL;
}

void *ccurl_multi_new(void) { return curl_multi_init(); }

int ccurl_multi_free(void *multi) { return (int)curl_multi_cleanup(multi); }

int ccurl_multi_set_long(void *multi, CURLMoption option, long value) {
  return (int)curl_multi_setopt(multi, option, value);
}

int ccurl_multi_add(void *multi, void *easy) { return (int)curl_multi_add_handle(multi, easy); }

int ccurl_multi_remove(void *multi, void *easy) { return (int)curl_multi_remove_handle(multi, easy); }

static int watch(CURL *easy, curl_socket_t socket, int what, void *context, void *data) {
  (void)easy;
  (void)data;
  int epoll = (int)(intptr_t)context;
  if (what == CURL_POLL_REMOVE) {
    // The socket may be closed already, and with it its registration.
    (void)epoll_ctl(epoll, EPOLL_CTL_DEL, socket, NULL);
    return 0;
  }
  struct epoll_event event = {0};
  if (what & CURL_POLL_IN) event.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
  // What is asked for goes along: errors are reported as that, as poll(2) would wake libcurl for it.
  event.data.u64 = ((uint64_t)(uint32_t)event.events << 32) | (uint32_t)socket;
  if (epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &event) == 0) return 0;
  return errno == ENOENT && epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) == 0 ? 0 : -1;
}

bool ccurl_watcher_open(ccurl_watcher *watcher) {
  watcher->epoll = epoll_create1(EPOLL_CLOEXEC);
  watcher->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint32_t)watcher->event};
  if (watcher->epoll >= 0 && watcher->event >= 0 &&
      epoll_ctl(watcher->epoll, EPOLL_CTL_ADD, watcher->event, &event) == 0)
    return true;
  ccurl_watcher_close(watcher);
  return false;
}

void ccurl_watcher_close(ccurl_watcher *watcher) {
  if (watcher->epoll >= 0) close(watcher->epoll);
  if (watcher->event >= 0) close(watcher->event);
}

void ccurl_watcher_wake(const ccurl_watcher *watcher) {
  uint64_t one = 1;
  // Full means that it will wake all the same.
  ssize_t count = write(watcher->event, &one, sizeof one);
  (void)count;
}

int ccurl_watcher_wait(const ccurl_watcher *watcher, ccurl_ready *ready, int capacity, int timeout_ms) {
  struct epoll_event events[128];
  if (capacity > 128) capacity = 128;
  int count = epoll_wait(watcher->epoll, events, capacity, timeout_ms);
  if (count < 0) return errno == EINTR ? 0 : -1;
  int found = 0;
  for (int index = 0; index < count; index++) {
    curl_socket_t socket = (curl_socket_t)(uint32_t)events[index].data.u64;
    if (socket == watcher->event) {
      uint64_t value;
      ssize_t size = read(watcher->event, &value, sizeof value);
      (void)size;
      continue;
    }
    uint32_t happened = events[index].events;
    uint32_t asked = (uint32_t)(events[index].data.u64 >> 32);
    if (happened & (EPOLLERR | EPOLLHUP)) happened |= asked;
    ready[found].socket = socket;
    ready[found].mask =
        ((happened & EPOLLIN) ? CURL_CSELECT_IN : 0) | ((happened & EPOLLOUT) ? CURL_CSELECT_OUT : 0);
    found++;
  }
  return found;
}

int ccurl_multi_watch(void *multi, const ccurl_watcher *watcher) {
  CURLMcode code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch);
  if (code == CURLM_OK) code = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, (void *)(intptr_t)watcher->epoll);
  return (int)code;
}

int ccurl_multi_ready(void *multi, ccurl_ready ready) {
  int running = 0;
  return (int)curl_multi_socket_action(multi, ready.socket, ready.mask, &running);
}

int ccurl_multi_expire(void *multi) {
  int running = 0;
  return (int)curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

long ccurl_multi_time_left(void *multi) {
  long milliseconds = -1;
  return curl_multi_timeout(multi, &milliseconds) == CURLM_OK ? milliseconds : 0;
}

void *ccurl_multi_next_done(void *multi, int *code) {
  int left = 0;
  CURLMsg *message;
  while ((message = curl_multi_info_read(multi, &left)) != NULL) {
    if (message->msg == CURLMSG_DONE) {
      *code = (int)message->data.result;
      return message->easy_handle;
    }
  }
  return NULL;
}
