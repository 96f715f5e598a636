/* Parameters: declared by a plugin, shown and checked by the host, given to the plugin complete and within range. */
#ifndef PUMICE_SDK_PARAMS_H
#define PUMICE_SDK_PARAMS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PUMICE_PARAM_INT 1    /* a whole number */
#define PUMICE_PARAM_FLOAT 2  /* a finite number */
#define PUMICE_PARAM_BOOL 3   /* 0 or 1 */
#define PUMICE_PARAM_ENUM 4   /* one of `choices` */
#define PUMICE_PARAM_STRING 5 /* UTF-8, one line, at most 4096 bytes */
#define PUMICE_PARAM_FILE 6   /* the path of a file that exists, or "" for none */

/* Constant, as long as the descriptor that lists it. */
typedef struct pumice_param {
    uint32_t struct_size;
    int32_t type;              /* PUMICE_PARAM_... */
    const char* id;            /* what users type: a lower-case letter, then those, digits and '_', at most 64 */
    const char* help;          /* one line, not empty */
    const char* unit;          /* "steps"; NULL: none */
    double least, most;        /* int and float: both ends belong to the range */
    double step;               /* int and float: what a slider should move by; 0: up to the host */
    double default_number;     /* int, float; bool: 0 or 1; enum: an index */
    const char* default_text;  /* string and file; NULL is "" */
    const char* const* choices; /* enum: names as ids are, and a NULL at the end; others: NULL */
} pumice_param;

/* An array of these stands in the order of the declarations. Never grows. */
typedef struct pumice_param_value {
    double number;    /* int, float, bool, enum (the index) */
    const char* text; /* string and file: never NULL; the host's, during the call; others: NULL */
} pumice_param_value;

#ifdef __cplusplus
}
#endif

#endif
