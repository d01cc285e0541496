/* ESP on a pipe: seals and opens single packets with tern's own code, so that test_esp_scapy.py can
 * hold it against an independent implementation. One request a line, one answer a line:
 *
 *     seal SUITE ENCKEY INTEGKEY SPI PACKET [SEQUENCE]
 *     open SUITE ENCKEY INTEGKEY SPI PACKET [SEQUENCE]
 *
 * SUITE is written as in a profile ("aes128gcm16", "aes256-sha256"), keys and packets in hex ("-"
 * for no key), the SPI in decimal. With a SEQUENCE the numbers are extended ones (ESN): sealing
 * uses that number, opening has already had all before it. The answer is the resulting packet in
 * hex, or "error: " and the reason. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/esp/esp.h"
#include "common/esp/esp_internal.h"

enum { PACKET_MAX = 2048, LINE_BYTES = 8192, WORDS_MAX = 7 };

static bool parse_hex(const char *hex, uint8_t *out, size_t cap, size_t *ret_len)
{
    size_t len = 0;
    if (strcmp(hex, "-") == 0)
        hex = "";
    for (; hex[0] != '\0'; hex += 2, len++) {
        unsigned octet;
        int used = 0;
        if (len == cap || sscanf(hex, "%2x%n", &octet, &used) != 1 || used != 2)
            return false;
        out[len] = (uint8_t)octet;
    }
    *ret_len = len;
    return true;
}

static bool parse_secret(const char *hex, struct secret *ret)
{
    return parse_hex(hex, ret->data, sizeof(ret->data), &ret->len);
}

static bool parse_suite(char *text, struct aead_suite *ret)
{
    char *integ = strchr(text, '-');
    *ret = (struct aead_suite){.integ = INTEG_NONE};
    if (integ != NULL) {
        *integ++ = '\0';
        const struct algorithm *a = algorithm_by_name(span_text(integ));
        if (a == NULL || a->type != TRANSFORM_INTEG)
            return false;
        ret->integ = (enum integ_id)a->id;
    }
    const struct algorithm *a = algorithm_by_name(span_text(text));
    if (a == NULL || a->type != TRANSFORM_ENCR)
        return false;
    ret->encr = (enum encr_id)a->id;
    ret->key_bits = a->key_bits;
    return true;
}

static enum err seal_packet(const struct esp_parameters *parameters, uint64_t sequence,
                            struct packet *p)
{
    struct esp_out *sa;
    enum err e = esp_out_new(parameters, &sa);
    if (e != ERR_OK)
        return e;
    if (parameters->esn)
        esp_out_start_at(sa, sequence);
    e = esp_seal(sa, span_make(packet_bytes(p), p->len), p);
    esp_out_free(sa);
    return e;
}

static enum err open_packet(const struct esp_parameters *parameters, uint64_t sequence,
                            struct packet *p)
{
    struct esp_in *sa;
    enum err e = esp_in_new(parameters, &sa);
    if (e != ERR_OK)
        return e;
    if (parameters->esn)
        esp_in_start_at(sa, sequence);
    e = esp_open(sa, p);
    esp_in_free(sa);
    return e;
}

static enum err answer(char **words, size_t count, struct packet *p)
{
    struct esp_parameters parameters = {0};
    uint64_t sequence = 0;
    if (count < 6 || !parse_suite(words[1], &parameters.suite) ||
        !parse_secret(words[2], &parameters.enc_key) ||
        !parse_secret(words[3], &parameters.integ_key) ||
        !parse_hex(words[5], p->data + ESP_HEADROOM, PACKET_MAX, &p->len))
        return ERR_MALFORMED;
    parameters.spi = (uint32_t)strtoul(words[4], NULL, 10);
    if (count == WORDS_MAX) {
        parameters.esn = true;
        sequence = strtoull(words[6], NULL, 10);
        if (sequence == 0)
            return ERR_MALFORMED;
    }
    p->start = ESP_HEADROOM;
    enum err e = ERR_UNSUPPORTED;
    if (strcmp(words[0], "seal") == 0)
        e = seal_packet(&parameters, sequence, p);
    else if (strcmp(words[0], "open") == 0)
        e = open_packet(&parameters, sequence, p);
    secret_wipe(&parameters.enc_key);
    secret_wipe(&parameters.integ_key);
    return e;
}

int main(void)
{
    static char line[LINE_BYTES];
    static uint8_t storage[ESP_HEADROOM + PACKET_MAX + ESP_TAILROOM];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *words[WORDS_MAX];
        size_t count = 0;
        for (char *word = strtok(line, " \n"); word != NULL && count < WORDS_MAX;
             word = strtok(NULL, " \n"))
            words[count++] = word;
        struct packet p = {.data = storage, .cap = sizeof(storage)};
        enum err e = answer(words, count, &p);
        if (e != ERR_OK) {
            printf("error: %s\n", err_text(e));
        } else {
            for (size_t i = 0; i < p.len; i++)
                printf("%02x", packet_bytes(&p)[i]);
            printf("\n");
        }
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
