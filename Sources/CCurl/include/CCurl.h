// The parts of libcurl that Swift cannot call directly.
//
// curl_easy_setopt, curl_easy_getinfo and curl_multi_setopt are variadic, and variadic C functions are not imported
// into Swift; each function here fixes the type of the last argument. Handles are passed as `void *`, whatever
// type the installed header gives to CURL and CURLM. Every int result is a CURLcode (easy) or CURLMcode (multi).

#ifndef CCURL_H
#define CCURL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if LIBCURL_VERSION_NUM < 0x075000
#error "libcurl 7.80 or newer is needed (CURLOPT_PREREQFUNCTION)"
#endif

/// Body or header bytes: `size * count` bytes at `data`; returns how many were taken, anything else aborts, but for
/// CURL_WRITEFUNC_PAUSE. As a reader: room for as many bytes; returns how many were put there, 0 at the end,
/// CURL_READFUNC_PAUSE or CURL_READFUNC_ABORT.
typedef size_t (*ccurl_data_callback)(char *data, size_t size, size_t count, void *context);

/// Called on the finished connection, just before a request is sent. CURL_PREREQFUNC_OK or CURL_PREREQFUNC_ABORT.
typedef int (*ccurl_prereq_callback)(void *context, char *primary_ip, char *local_ip, int primary_port, int local_port);

int ccurl_global_init(void);
/// True if the loaded library speaks HTTP/2.
bool ccurl_has_http2(void);
const char *ccurl_strerror(int code);
/// Names the calling thread for debuggers and `top -H`; at most 15 bytes.
void ccurl_name_thread(const char *name);

void *ccurl_easy_new(void);
void ccurl_easy_free(void *easy);
void ccurl_easy_reset(void *easy);

int ccurl_set_long(void *easy, CURLoption option, long value);
int ccurl_set_large(void *easy, CURLoption option, int64_t value);
/// libcurl copies the string. NULL goes back to the default.
int ccurl_set_string(void *easy, CURLoption option, const char *value);
/// The memory has to outlive the transfer.
int ccurl_set_error_buffer(void *easy, char *buffer);
/// The list has to outlive the transfer.
int ccurl_set_headers(void *easy, struct curl_slist *headers);
/// The memory has to stay until all of it has been sent and cannot be sent again. Also switches the method to POST.
int ccurl_set_body(void *easy, const void *bytes, int64_t count);
int ccurl_set_callbacks(void *easy, ccurl_data_callback header, ccurl_data_callback body,
                        ccurl_data_callback reader, ccurl_prereq_callback prereq, void *context);
/// `directions`: CURLPAUSE_RECV, CURLPAUSE_SEND, both, or CURLPAUSE_CONT for none. May call the body's callback.
int ccurl_pause(void *easy, int directions);
/// http and https only, for the first request and for redirects.
int ccurl_limit_protocols(void *easy);
/// Lets go of a running name look-up instead of waiting for it when the transfer ends early (libcurl 7.87).
void ccurl_abandon_resolver(void *easy);

/// 0 if unknown.
long ccurl_get_long(void *easy, CURLINFO info);
/// 0 if unknown.
int64_t ccurl_get_large(void *easy, CURLINFO info);
/// NULL if unknown; belongs to the handle.
const char *ccurl_get_string(void *easy, CURLINFO info);

void *ccurl_multi_new(void);
int ccurl_multi_free(void *multi);
int ccurl_multi_set_long(void *multi, CURLMoption option, long value);
int ccurl_multi_add(void *multi, void *easy);
int ccurl_multi_remove(void *multi, void *easy);

/// Watches the sockets of one multi handle by epoll(7), so that a round costs what has happened and not what is open.
typedef struct {
  int epoll;
  int event;
} ccurl_watcher;

typedef struct {
  curl_socket_t socket;
  /// CURL_CSELECT_IN, CURL_CSELECT_OUT or both.
  int mask;
} ccurl_ready;

/// False if the system refuses; then there is nothing to close.
bool ccurl_watcher_open(ccurl_watcher *watcher);
void ccurl_watcher_close(ccurl_watcher *watcher);
/// Ends the wait that is under way, or the next one. The one function that other threads may call.
void ccurl_watcher_wake(const ccurl_watcher *watcher);
/// Waits for at most `timeout_ms`, and returns how many of at most 128 sockets are ready; -1 if the system refuses.
int ccurl_watcher_wait(const ccurl_watcher *watcher, ccurl_ready *ready, int capacity, int timeout_ms);

/// The watcher has to outlive the handle.
int ccurl_multi_watch(void *multi, const ccurl_watcher *watcher);
/// Goes on with the transfers of that socket, and with those whose time has come.
int ccurl_multi_ready(void *multi, ccurl_ready ready);
/// Goes on with the transfers whose time has come.
int ccurl_multi_expire(void *multi);
/// Milliseconds until that is due; -1 = never.
long ccurl_multi_time_left(void *multi);
/// Takes the next finished transfer; NULL when there is none.
void *ccurl_multi_next_done(void *multi, int *code);

#endif
