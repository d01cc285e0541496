/* Civil time in UTC: from a certificate's validity to seconds since 1970, and from those to text.
 * No clock is read, no time zone known. The Gregorian calendar repeats after 400 years (146097
 * days); years are counted from March, so that the leap day is a year's last. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto/x509_internal.h"

enum { DAY_SECONDS = 86400, ERA_DAYS = 146097, ERA_YEARS = 400 };
/* From 1 March of the year 0 to 1 January 1970. */
enum { DAYS_TO_1970 = 719468 };

static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2)
        year--;
    int64_t era = year / ERA_YEARS; /* the year is not negative here */
    int64_t year_of_era = year % ERA_YEARS;
    int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * ERA_DAYS + day_of_era - DAYS_TO_1970;
}

/* RFC 5280 4.1.2.5: YYYYMMDDHHMMSSZ, nothing else. */
static enum err parse_generalized(struct span text, int64_t *ret)
{
    static const int64_t highest[] = {12, 31, 23, 59, 59};
    const uint8_t *s = text.data;
    bool good = text.len == 15 && s[14] == 'Z';
    int64_t part[7] = {0}; /* century, year, month, day, hour, minute, second */
    for (size_t i = 0; good && i < 14; i++) {
        good = s[i] >= '0' && s[i] <= '9';
        part[i / 2] = part[i / 2] * 10 + (s[i] - '0');
    }
    for (size_t i = 0; good && i < 5; i++)
        good = part[i + 2] <= highest[i] && (i >= 2 || part[i + 2] > 0);
    int64_t year = part[0] * 100 + part[1];
    if (!good || year == 0)
        return ERR_MALFORMED;
    *ret = days_from_civil(year, part[2], part[3]) * DAY_SECONDS + part[4] * 3600 + part[5] * 60 +
           part[6];
    return ERR_OK;
}

enum err wall_time_from_asn1(const ASN1_TIME *t, int64_t *ret)
{
    ASN1_GENERALIZEDTIME *g = ASN1_TIME_to_generalizedtime(t, NULL);
    if (g == NULL)
        return ERR_MALFORMED;
    enum err e =
        parse_generalized(span_make(ASN1_STRING_get0_data(g), (size_t)ASN1_STRING_length(g)), ret);
    ASN1_GENERALIZEDTIME_free(g);
    return e;
}

bool wall_time_read_generalized(CBS *in, int64_t *ret)
{
    CBS text;
    return CBS_get_asn1(in, &text, CBS_ASN1_GENERALIZEDTIME) &&
           parse_generalized(span_make(CBS_data(&text), CBS_len(&text)), ret) == ERR_OK;
}

bool wall_time_read(CBS *in, int64_t *ret)
{
    CBS text;
    uint8_t full[15];
    if (!CBS_peek_asn1_tag(in, CBS_ASN1_UTCTIME))
        return wall_time_read_generalized(in, ret);
    if (!CBS_get_asn1(in, &text, CBS_ASN1_UTCTIME) || CBS_len(&text) != sizeof full - 2)
        return false;
    /* Of two digits, 50 to 99 are of the last century. */
    memcpy(full, CBS_data(&text)[0] >= '5' ? "19" : "20", 2);
    memcpy(full + 2, CBS_data(&text), sizeof full - 2);
    return parse_generalized(SPAN_OF(full), ret) == ERR_OK;
}

const char *wall_time_format(int64_t seconds, char out[WALL_TIME_TEXT_MAX])
{
    int64_t days = seconds / DAY_SECONDS + DAYS_TO_1970;
    int64_t of_day = seconds % DAY_SECONDS;
    if (of_day < 0) {
        of_day += DAY_SECONDS;
        days--;
    }
    int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
    int64_t day_of_era = days - era * ERA_DAYS;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * from_march + 2) / 5 + 1;
    int64_t month = from_march < 10 ? from_march + 3 : from_march - 9;
    int64_t year = year_of_era + era * ERA_YEARS + (month <= 2 ? 1 : 0);
    snprintf(out, WALL_TIME_TEXT_MAX,
             "%04" PRId64 "-%02" PRId64 "-%02" PRId64 " %02" PRId64 ":%02" PRId64 " UTC", year,
             month, day, of_day / 3600, of_day / 60 % 60);
    return out;
}
