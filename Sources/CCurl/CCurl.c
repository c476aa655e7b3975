#define _GNU_SOURCE 1  // pthread_setname_np

// The options are not constants here, so libcurl's compile-time check of their types has nothing to look at.
#define CURL_DISABLE_TYPECHECK 1

#include "CCurl.h"

#include <pthread.h>

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
  // The size goes first: COPYPOSTFIELDS copies as many bytes as it says, and would otherwise stop at a zero byte.
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, count > 0 ? (const char *)bytes : "");
  return (int)code;
}

int ccurl_set_callbacks(void *easy, ccurl_data_callback header, ccurl_data_callback body,
                        ccurl_prereq_callback prereq, void *context) {
  CURLcode code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_HEADERDATA, context);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, context);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, prereq);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_PREREQDATA, context);
  return (int)code;
}

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

int ccurl_multi_perform(void *multi) {
  int running = 0;
  return (int)curl_multi_perform(multi, &running);
}

int ccurl_multi_poll(void *multi, int timeout_ms) { return (int)curl_multi_poll(multi, NULL, 0, timeout_ms, NULL); }

int ccurl_multi_wakeup(void *multi) { return (int)curl_multi_wakeup(multi); }

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
