#include "CHiredis.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CHiredisReply {
    CHiredisKind kind;
    long long integer;
    size_t count;            /* bytes of a string, elements read so far of an array */
    size_t capacity;         /* allocated elements */
    CHiredisReply **elements;
    char bytes[];            /* of a string; no terminator */
};

struct CHiredisDecoder {
    redisReader *reader;
    CHiredisLimits limits;
    size_t reply_bytes;      /* memory of the reply being read */
    int failed;
    char error[192];
};

/* The longest "$<length>" or "*<count>" line that can be valid: 20 digits and a sign. */
#define LENGTH_LINE_MAX 24

static void decoder_fail(CHiredisDecoder *decoder, const char *message) {
    if (decoder->failed) return;
    decoder->failed = 1;
    snprintf(decoder->error, sizeof(decoder->error), "%s", message);
}

static void decoder_fail_limit(CHiredisDecoder *decoder, const char *what, size_t limit) {
    char message[sizeof(decoder->error)];
    snprintf(message, sizeof(message), "%s exceeds the limit of %zu", what, limit);
    decoder_fail(decoder, message);
}

/* ---- reply objects ---- */

void chiredis_reply_free(CHiredisReply *reply) {
    if (reply == NULL) return;
    /* Recursion is bounded: max_depth was enforced when the arrays were made. */
    for (size_t i = 0; reply->kind == CHIREDIS_ARRAY && i < reply->count; i++) {
        chiredis_reply_free(reply->elements[i]);
    }
    free(reply->elements);
    free(reply);
}

static int account(CHiredisDecoder *decoder, size_t bytes) {
    size_t limit = decoder->limits.max_reply_bytes;
    if (bytes > limit || decoder->reply_bytes > limit - bytes) {
        decoder_fail_limit(decoder, "reply size in bytes", limit);
        return -1;
    }
    decoder->reply_bytes += bytes;
    return 0;
}

/*
 * Makes a reply object and hangs it into its parent. The element vector of an array grows as elements arrive, so an
 * announced count alone costs nothing.
 */
static CHiredisReply *make_reply(const redisReadTask *task, CHiredisKind kind, size_t extra) {
    CHiredisDecoder *decoder = task->privdata;
    if (task->parent == NULL) decoder->reply_bytes = 0;
    if (account(decoder, sizeof(CHiredisReply) + extra) != 0) return NULL;

    CHiredisReply *reply = malloc(sizeof(CHiredisReply) + extra);
    if (reply == NULL) return NULL;
    memset(reply, 0, sizeof(CHiredisReply));
    reply->kind = kind;

    if (task->parent != NULL) {
        CHiredisReply *parent = task->parent->obj;
        if (parent->count == parent->capacity) {
            size_t capacity = parent->capacity == 0 ? 4 : parent->capacity * 2;
            CHiredisReply **grown = NULL;
            if (account(decoder, (capacity - parent->capacity) * sizeof(*grown)) == 0) {
                grown = realloc(parent->elements, capacity * sizeof(*grown));
            }
            if (grown == NULL) {
                free(reply);
                return NULL;
            }
            parent->elements = grown;
            parent->capacity = capacity;
        }
        parent->elements[parent->count++] = reply;
    }
    return reply;
}

static void *create_string(const redisReadTask *task, char *bytes, size_t length) {
    CHiredisDecoder *decoder = task->privdata;
    CHiredisKind kind;
    switch (task->type) {
    case REDIS_REPLY_STATUS: kind = CHIREDIS_STATUS; break;
    case REDIS_REPLY_ERROR: kind = CHIREDIS_ERROR; break;
    case REDIS_REPLY_STRING: kind = CHIREDIS_BULK; break;
    default:
        decoder_fail(decoder, "a RESP3 type arrived on a RESP2 connection");
        return NULL;
    }
    if (kind == CHIREDIS_BULK) {
        if (length > decoder->limits.max_bulk_bytes) {
            decoder_fail_limit(decoder, "bulk string length in bytes", decoder->limits.max_bulk_bytes);
            return NULL;
        }
        /* hiredis calls back only when the two bytes after the string are in the buffer, but never looks at them. */
        if (bytes[length] != '\r' || bytes[length + 1] != '\n') {
            decoder_fail(decoder, "a bulk string is not followed by CRLF");
            return NULL;
        }
    } else if (length > decoder->limits.max_line_bytes) {
        decoder_fail_limit(decoder, "line length in bytes", decoder->limits.max_line_bytes);
        return NULL;
    }
    CHiredisReply *reply = make_reply(task, kind, length);
    if (reply == NULL) return NULL;
    memcpy(reply->bytes, bytes, length);
    reply->count = length;
    return reply;
}

static void *create_array_checked(const redisReadTask *task, size_t elements) {
    CHiredisDecoder *decoder = task->privdata;
    if (task->type != REDIS_REPLY_ARRAY) {
        decoder_fail(decoder, "a RESP3 type arrived on a RESP2 connection");
        return NULL;
    }
    if (elements > decoder->limits.max_array_elements) {
        decoder_fail_limit(decoder, "number of array elements", decoder->limits.max_array_elements);
        return NULL;
    }
    size_t depth = 1;
    for (const redisReadTask *up = task->parent; up != NULL; up = up->parent) depth++;
    if (depth > decoder->limits.max_depth) {
        decoder_fail_limit(decoder, "array nesting", decoder->limits.max_depth);
        return NULL;
    }
    return make_reply(task, CHIREDIS_ARRAY, 0);
}

static void *create_integer(const redisReadTask *task, long long value) {
    CHiredisReply *reply = make_reply(task, CHIREDIS_INTEGER, 0);
    if (reply != NULL) reply->integer = value;
    return reply;
}

static void *create_nil(const redisReadTask *task) {
    if (task->type == REDIS_REPLY_NIL) {
        decoder_fail(task->privdata, "a RESP3 type arrived on a RESP2 connection");
        return NULL;
    }
    return make_reply(task, CHIREDIS_NIL, 0);
}

static void free_object(void *reply) { chiredis_reply_free(reply); }

#if HIREDIS_MAJOR >= 1
static void *create_array(const redisReadTask *task, size_t elements) {
    return create_array_checked(task, elements);
}

static void *create_double(const redisReadTask *task, double value, char *text, size_t length) {
    (void)value;
    (void)text;
    (void)length;
    decoder_fail(task->privdata, "a RESP3 type arrived on a RESP2 connection");
    return NULL;
}

static void *create_bool(const redisReadTask *task, int value) {
    (void)value;
    decoder_fail(task->privdata, "a RESP3 type arrived on a RESP2 connection");
    return NULL;
}
#else
static void *create_array(const redisReadTask *task, int elements) {
    return create_array_checked(task, elements < 0 ? 0 : (size_t)elements);
}
#endif

static redisReplyObjectFunctions reply_functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
    .freeObject = free_object,
#if HIREDIS_MAJOR >= 1
    .createDouble = create_double,
    .createBool = create_bool,
#endif
};

/* ---- decoder ---- */

CHiredisDecoder *chiredis_decoder_create(CHiredisLimits limits) {
    CHiredisDecoder *decoder = calloc(1, sizeof(CHiredisDecoder));
    if (decoder == NULL) return NULL;
    decoder->limits = limits;
    decoder->reader = redisReaderCreateWithFunctions(&reply_functions);
    if (decoder->reader == NULL) {
        free(decoder);
        return NULL;
    }
    decoder->reader->privdata = decoder;
    return decoder;
}

void chiredis_decoder_free(CHiredisDecoder *decoder) {
    if (decoder == NULL) return;
    redisReaderFree(decoder->reader);
    free(decoder);
}

int chiredis_decoder_feed(CHiredisDecoder *decoder, const void *bytes, size_t length) {
    if (decoder->failed) return -1;
    if (length > 0 && redisReaderFeed(decoder->reader, bytes, length) != REDIS_OK) {
        decoder_fail(decoder, "out of memory while reading a reply");
        return -1;
    }
    return 0;
}

static int current_type(const redisReader *reader) {
    if (reader->ridx < 0) return -1;
#if HIREDIS_MAJOR >= 1
    return reader->task[reader->ridx]->type;
#else
    return reader->rstack[reader->ridx].type;
#endif
}

/*
 * hiredis waits for a whole item before it calls back. So the item that is still incomplete is looked at here, or a
 * peer that announces two gigabytes would be buffered until memory ends.
 */
static void check_incomplete_item(CHiredisDecoder *decoder) {
    const redisReader *reader = decoder->reader;
    size_t pending = reader->len - reader->pos;
    int type = current_type(reader);
    if (type < 0 || pending == 0) return;
    const char *line = reader->buf + reader->pos;

    if (type != REDIS_REPLY_STRING && type != REDIS_REPLY_ARRAY) {
        if (pending > decoder->limits.max_line_bytes + 2) {
            decoder_fail_limit(decoder, "line length in bytes", decoder->limits.max_line_bytes);
        }
        return;
    }
    size_t window = pending < LENGTH_LINE_MAX ? pending : LENGTH_LINE_MAX;
    const char *end = memchr(line, '\r', window);
    if (end == NULL) {
        if (pending >= LENGTH_LINE_MAX) decoder_fail(decoder, "a length line has no end");
        return;
    }
    if (type == REDIS_REPLY_STRING) {
        size_t length = 0;
        for (const char *digit = line; digit < end; digit++) {
            if (*digit < '0' || *digit > '9') return; /* hiredis judges signs and garbage itself */
            length = length * 10 + (size_t)(*digit - '0');
            if (length > decoder->limits.max_bulk_bytes) {
                decoder_fail_limit(decoder, "bulk string length in bytes", decoder->limits.max_bulk_bytes);
                return;
            }
        }
    }
}

int chiredis_decoder_next(CHiredisDecoder *decoder, CHiredisReply **reply) {
    *reply = NULL;
    if (decoder->failed) return -1;
    void *object = NULL;
    if (redisReaderGetReply(decoder->reader, &object) != REDIS_OK) {
        /* A limit that a callback hit has left its own message; hiredis then only says "Out of memory". */
        decoder_fail(decoder, decoder->reader->errstr);
        return -1;
    }
    if (object != NULL) {
        *reply = object;
        return 1;
    }
    check_incomplete_item(decoder);
    return decoder->failed ? -1 : 0;
}

const char *chiredis_decoder_error(const CHiredisDecoder *decoder) { return decoder->error; }

/* ---- reply access ---- */

CHiredisKind chiredis_reply_kind(const CHiredisReply *reply) { return reply->kind; }
long long chiredis_reply_integer(const CHiredisReply *reply) { return reply->integer; }
const char *chiredis_reply_bytes(const CHiredisReply *reply) { return reply->bytes; }
size_t chiredis_reply_count(const CHiredisReply *reply) { return reply->count; }

const CHiredisReply *chiredis_reply_element(const CHiredisReply *reply, size_t index) {
    return index < reply->count ? reply->elements[index] : NULL;
}

/* ---- commands ---- */

long long chiredis_command_format(char **target, int argc, const char **argv, const size_t *argvlen) {
    return redisFormatCommandArgv(target, argc, argv, argvlen);
}

void chiredis_command_free(char *target) { redisFreeCommand(target); }
