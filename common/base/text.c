/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_BYTES_MAX 255
#define CONTAINER_ID_BYTES_MAX 242

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads the digits at *s into *out and moves *s behind them. -EINVAL without a digit, -ERANGE above UINT64_MAX. */
static int take_digits(const char **s, uint64_t *out)
{
    const char *p = *s;
    uint64_t v = 0;
    int rc = 0;
    if (!is_digit(*p))
        return -EINVAL;
    for (; is_digit(*p); p++)
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            rc = -ERANGE;
    *s = p;
    *out = v;
    return rc;
}

int text_to_uint64(const char *s, uint64_t *out)
{
    uint64_t v = 0;
    int rc = take_digits(&s, &v);
    if (rc == -EINVAL || *s != '\0')
        return -EINVAL;
    if (rc == 0)
        *out = v;
    return rc;
}

/* magnitude with a sign as int64_t; -ERANGE when it does not fit. */
static int apply_sign(bool negative, uint64_t magnitude, int64_t *out)
{
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *out = negative ? (int64_t)(UINT64_C(0) - magnitude) : (int64_t)magnitude;
    return 0;
}

int text_to_int64(const char *s, int64_t *out)
{
    bool negative = *s == '-';
    uint64_t v;
    int rc = text_to_uint64(s + negative, &v);
    return rc != 0 ? rc : apply_sign(negative, v, out);
}

int text_to_double(const char *s, double *out)
{
    /* strtod also takes blanks, hexadecimal, "inf" and "nan" */
    if (s[strspn(s, "0123456789.eE+-")] != '\0')
        return -EINVAL;
    char *end;
    double v = strtod(s, &end);
    if (end == s || *end != '\0')
        return -EINVAL;
    if (!isfinite(v))
        return -ERANGE;
    *out = v;
    return 0;
}

int text_to_bool(const char *s, bool *out)
{
    bool yes = strcmp(s, "true") == 0 || strcmp(s, "1") == 0;
    if (!yes && strcmp(s, "false") != 0 && strcmp(s, "0") != 0)
        return -EINVAL;
    *out = yes;
    return 0;
}

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_base64_encode(const void *data, size_t len, struct buf *out)
{
    const uint8_t *s = data;
    if (len > SIZE_MAX / 4) {
        out->overflowed = true;
        return;
    }
    size_t size = (len + 2) / 3 * 4;
    uint8_t *to = buf_reserve(out, size);
    if (to == NULL)
        return;
    for (; len >= 3; len -= 3, s += 3) {
        *to++ = (uint8_t)base64_alphabet[s[0] >> 2];
        *to++ = (uint8_t)base64_alphabet[(s[0] & 3) << 4 | s[1] >> 4];
        *to++ = (uint8_t)base64_alphabet[(s[1] & 15) << 2 | s[2] >> 6];
        *to++ = (uint8_t)base64_alphabet[s[2] & 63];
    }
    if (len > 0) {
        uint8_t second = len > 1 ? s[1] : 0;
        *to++ = (uint8_t)base64_alphabet[s[0] >> 2];
        *to++ = (uint8_t)base64_alphabet[(s[0] & 3) << 4 | second >> 4];
        *to++ = len > 1 ? (uint8_t)base64_alphabet[(second & 15) << 2] : '=';
        *to++ = '=';
    }
    buf_commit(out, size);
}

/* 0..63, or -1 */
static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int text_base64_decode(const char *s, size_t s_len, uint8_t *out, size_t *len)
{
    if (s_len % 4 != 0)
        return -EINVAL;
    size_t padding = s_len == 0 || s[s_len - 1] != '=' ? 0 : s[s_len - 2] != '=' ? 1 : 2;
    size_t done = 0;
    for (size_t i = 0; i < s_len; i += 4) {
        size_t chars = i + 4 == s_len ? 4 - padding : 4;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            int v = j < chars ? base64_value(s[i + j]) : 0;
            if (v < 0)
                return -EINVAL;
            group = group << 6 | (uint32_t)v;
        }
        size_t bytes = chars - 1;
        if (bytes < 3 && (group & (0xffffffu >> (8 * bytes))) != 0)
            return -EINVAL; /* bits that no encoder sets: two texts for the same bytes */
        for (size_t j = 0; j < bytes; j++, done++)
            if (out != NULL)
                out[done] = (uint8_t)(group >> (16 - 8 * j));
    }
    *len = done;
    return 0;
}

static const struct {
    const char *name;
    int64_t ns;
} duration_units[] = {
    {"weeks", INT64_C(604800000000000)},
    {"days", INT64_C(86400000000000)},
    {"hrs", INT64_C(3600000000000)},
    {"mins", INT64_C(60000000000)},
    {"secs", INT64_C(1000000000)},
    {"ms", 1000000},
    {"us", 1000},
    {"ns", 1},
};
#define UNIT_COUNT (sizeof(duration_units) / sizeof(duration_units[0]))

int text_to_duration_ns(const char *s, int64_t *out)
{
    bool negative = *s == '-';
    s += negative;
    uint64_t whole = 0, fraction = 0, scale = 1;
    int rc = take_digits(&s, &whole);
    if (rc == -EINVAL)
        return rc;
    if (*s == '.') {
        if (!is_digit(*++s))
            return -EINVAL;
        for (; is_digit(*s); s++)
            if (scale < UINT64_C(1000000000000000)) { /* digits below a nanosecond of a week are dropped */
                fraction = fraction * 10 + (uint64_t)(*s - '0');
                scale *= 10;
            }
    }
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (strcmp(s, duration_units[i].name) != 0)
            continue;
        uint64_t unit = (uint64_t)duration_units[i].ns;
        uint64_t part = (uint64_t)((unsigned __int128)fraction * unit / scale);
        if (rc != 0 || __builtin_mul_overflow(whole, unit, &whole) || __builtin_add_overflow(whole, part, &whole))
            return -ERANGE;
        return apply_sign(negative, whole, out);
    }
    return -EINVAL;
}

void text_format_duration_ns(int64_t ns, char out[TEXT_DURATION_SIZE])
{
    size_t i = ns == 0 ? UNIT_COUNT - 1 : 0;
    while (ns % duration_units[i].ns != 0)
        i++;
    (void)snprintf(out, TEXT_DURATION_SIZE, "%lld%s", (long long)(ns / duration_units[i].ns), duration_units[i].name);
}

/* Days since 1970-01-01 of a Gregorian date and back, by eras of 400 years that start on 1 March. */
static int64_t days_of_date(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_of_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

#define DAY_MS INT64_C(86400000)

void text_format_time_ms(int64_t ms, char out[TEXT_TIME_SIZE])
{
    int64_t days = ms / DAY_MS;
    int64_t rest = ms % DAY_MS;
    if (rest < 0) {
        rest += DAY_MS;
        days--;
    }
    int64_t year;
    int month, day;
    date_of_days(days, &year, &month, &day);
    (void)snprintf(out, TEXT_TIME_SIZE, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)year, month, day,
                   (int)(rest / 3600000), (int)(rest / 60000 % 60), (int)(rest / 1000 % 60), (int)(rest % 1000));
}

/* Exactly count digits at *s; false leaves *s where it was. */
static bool take_fixed(const char **s, int count, int *out)
{
    int v = 0;
    for (int i = 0; i < count; i++) {
        if (!is_digit((*s)[i]))
            return false;
        v = v * 10 + ((*s)[i] - '0');
    }
    *s += count;
    *out = v;
    return true;
}

static bool take_char(const char **s, char c)
{
    if (**s != c)
        return false;
    ++*s;
    return true;
}

/* `Z`, or a sign and `hh:mm`. */
static int take_offset_minutes(const char **s, int *out)
{
    if (take_char(s, 'Z')) {
        *out = 0;
        return 0;
    }
    bool negative = take_char(s, '-');
    int hours, minutes;
    if (!negative && !take_char(s, '+'))
        return -EINVAL;
    if (!take_fixed(s, 2, &hours) || !take_char(s, ':') || !take_fixed(s, 2, &minutes))
        return -EINVAL;
    if (hours > 23 || minutes > 59)
        return -ERANGE;
    *out = (negative ? -1 : 1) * (hours * 60 + minutes);
    return 0;
}

static bool is_date(int year, int month, int day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1)
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= lengths[month - 1] + (month == 2 && leap);
}

int text_to_time_ms(const char *s, int64_t *out)
{
    int year, month, day, hour, minute, second, offset, ms = 0;
    if (!take_fixed(&s, 4, &year) || !take_char(&s, '-') || !take_fixed(&s, 2, &month) || !take_char(&s, '-') ||
        !take_fixed(&s, 2, &day) || !take_char(&s, 'T') || !take_fixed(&s, 2, &hour) || !take_char(&s, ':') ||
        !take_fixed(&s, 2, &minute) || !take_char(&s, ':') || !take_fixed(&s, 2, &second))
        return -EINVAL;
    if (take_char(&s, '.')) {
        if (!is_digit(*s))
            return -EINVAL;
        for (int scale = 100; is_digit(*s); s++, scale /= 10)
            ms += (*s - '0') * scale;
    }
    int rc = take_offset_minutes(&s, &offset);
    if (rc != 0 || *s != '\0')
        return *s != '\0' && rc == 0 ? -EINVAL : rc;
    if (!is_date(year, month, day) || hour > 23 || minute > 59 || second > 59)
        return -ERANGE;
    int64_t minutes = (int64_t)hour * 60 + minute - offset;
    *out = days_of_date(year, month, day) * DAY_MS + minutes * 60000 + second * INT64_C(1000) + ms;
    return 0;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

bool text_is_valid_id(const char *s)
{
    size_t len = strnlen(s, ID_BYTES_MAX + 1);
    if (len == 0 || len > ID_BYTES_MAX || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
        return false;
    for (; *s != '\0'; s++)
        if (is_control((unsigned char)*s) || *s == '/' || *s == '\\')
            return false;
    return true;
}

bool text_is_valid_container_id(const char *s)
{
    return text_is_valid_id(s) && strlen(s) <= CONTAINER_ID_BYTES_MAX && strpbrk(s, ". ") == NULL;
}

static bool is_role_component(const char *s, size_t len)
{
    if (len == 0 || s[0] == '-' || (len == 1 && (s[0] == '.' || s[0] == '*')) || (len == 2 && memcmp(s, "..", 2) == 0))
        return false;
    for (size_t i = 0; i < len; i++)
        if (strchr("\t\n\v\f\r \x7f", s[i]) != NULL)
            return false;
    return true;
}

bool text_is_valid_role(const char *s)
{
    if (strcmp(s, "*") == 0)
        return true;
    for (;; s++) {
        size_t len = strcspn(s, "/");
        if (!is_role_component(s, len))
            return false;
        s += len;
        if (*s == '\0')
            return true;
    }
}

size_t text_utf8_next(const void *text, size_t len, uint32_t *code)
{
    const uint8_t *s = text;
    if (len == 0)
        return 0;
    if (s[0] < 0x80) {
        *code = s[0];
        return 1;
    }
    size_t size = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (size == 0 || size > len)
        return 0;
    uint32_t v = s[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (s[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (v < least[size] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    *code = v;
    return size;
}

bool text_is_utf8(const void *text, size_t len)
{
    const uint8_t *s = text;
    uint32_t code;
    for (size_t i = 0, used; i < len; i += used) {
        used = s[i] < 0x80 ? 1 : text_utf8_next(s + i, len - i, &code);
        if (used == 0)
            return false;
    }
    return true;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int text_percent_decode(char *s, bool plus_is_space)
{
    char *to = s;
    for (; *s != '\0'; s++) {
        if (*s == '+' && plus_is_space) {
            *to++ = ' ';
        } else if (*s == '%') {
            int high = hex_value(s[1]);
            int low = high < 0 ? -1 : hex_value(s[2]);
            if (low < 0 || high * 16 + low == 0)
                return -EINVAL;
            *to++ = (char)(high * 16 + low);
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
    return 0;
}

bool text_equals_secret(const void *a, size_t a_len, const void *b, size_t b_len)
{
    /* The time depends on the lengths only; volatile keeps the compiler from leaving the loop early. */
    const volatile uint8_t *x = a, *y = b;
    volatile uint8_t difference = a_len != b_len;
    for (size_t i = 0; i < a_len; i++)
        difference = (uint8_t)(difference | (x[i] ^ (b_len > 0 ? y[i % b_len] : 0xff)));
    return difference == 0;
}
