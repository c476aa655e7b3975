/*
 * The RESP2 reply reader of RedisClient: hiredis' redisReader with our own reply objects.
 *
 * hiredis believes every length a peer announces. Here each reply is held to limits while it is still being read, so
 * memory stays proportional to the bytes that really arrived, and a reply beyond a limit is an error, never an
 * allocation. Compiles against hiredis 0.14 (Debian 12) and 1.x, whose callback shapes differ.
 */
#ifndef PERENNIAL_CHIREDIS_H
#define PERENNIAL_CHIREDIS_H

#include <stddef.h>
#include <hiredis/hiredis.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum CHiredisKind {
    CHIREDIS_STATUS = 1,
    CHIREDIS_ERROR = 2,
    CHIREDIS_INTEGER = 3,
    CHIREDIS_BULK = 4,
    CHIREDIS_ARRAY = 5,
    CHIREDIS_NIL = 6
} CHiredisKind;

typedef struct CHiredisLimits {
    size_t max_bulk_bytes;      /* one bulk string */
    size_t max_line_bytes;      /* one status, error or integer line */
    size_t max_array_elements;  /* one array */
    size_t max_depth;           /* arrays inside arrays; 1 = a flat array */
    size_t max_reply_bytes;     /* one whole reply in memory */
} CHiredisLimits;

typedef struct CHiredisReply CHiredisReply;
typedef struct CHiredisDecoder CHiredisDecoder;

/* NULL when out of memory. */
CHiredisDecoder *chiredis_decoder_create(CHiredisLimits limits);
void chiredis_decoder_free(CHiredisDecoder *decoder);

/* Appends received bytes. 0, or -1 when the decoder has failed. */
int chiredis_decoder_feed(CHiredisDecoder *decoder, const void *bytes, size_t length);

/* 1 and a reply (free it with chiredis_reply_free), 0 when more bytes are needed, -1 on a broken protocol or limit. */
int chiredis_decoder_next(CHiredisDecoder *decoder, CHiredisReply **reply);

/* Why the decoder failed. Never contains payload beyond a single offending byte. */
const char *chiredis_decoder_error(const CHiredisDecoder *decoder);

CHiredisKind chiredis_reply_kind(const CHiredisReply *reply);
long long chiredis_reply_integer(const CHiredisReply *reply);
const char *chiredis_reply_bytes(const CHiredisReply *reply);
/* Bytes of a string, elements of an array. */
size_t chiredis_reply_count(const CHiredisReply *reply);
const CHiredisReply *chiredis_reply_element(const CHiredisReply *reply, size_t index);
void chiredis_reply_free(CHiredisReply *reply);

/*
 * Encodes a command (redisFormatCommandArgv) into *target; returns its length, or -1 when out of memory. Free the
 * target with chiredis_command_free. One signature for 0.14 (int) and 1.x (long long).
 */
long long chiredis_command_format(char **target, int argc, const char **argv, const size_t *argvlen);
void chiredis_command_free(char *target);

#ifdef __cplusplus
}
#endif

#endif
