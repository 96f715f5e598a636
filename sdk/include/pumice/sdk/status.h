/* What a call came to. Every function of the plugin interface that can fail gives one of these. */
#ifndef PUMICE_SDK_STATUS_H
#define PUMICE_SDK_STATUS_H

#include <stdint.h>

/* An int32_t and not an enum, whose size a compiler may choose. The numbers are those of pumice.h. */
typedef int32_t pumice_sdk_status;

#define PUMICE_SDK_OK ((pumice_sdk_status)0)
#define PUMICE_SDK_INTERNAL ((pumice_sdk_status)1)         /* a bug of the one who gives it */
#define PUMICE_SDK_INVALID_ARGUMENT ((pumice_sdk_status)2) /* a value outside its documented range */
#define PUMICE_SDK_NOT_FOUND ((pumice_sdk_status)3)        /* a file or name that does not exist */
#define PUMICE_SDK_IO ((pumice_sdk_status)4)               /* reading or writing failed */
#define PUMICE_SDK_BAD_FORMAT ((pumice_sdk_status)5)       /* a file that is damaged or not what it claims to be */
#define PUMICE_SDK_UNSUPPORTED ((pumice_sdk_status)6)      /* well-formed, but not something this version handles */
#define PUMICE_SDK_MISSING_FEATURE ((pumice_sdk_status)9)  /* the host or the device lacks something needed */
#define PUMICE_SDK_OUT_OF_HOST_MEMORY ((pumice_sdk_status)10)
#define PUMICE_SDK_OUT_OF_DEVICE_MEMORY ((pumice_sdk_status)11)
#define PUMICE_SDK_DEVICE_LOST ((pumice_sdk_status)12)
#define PUMICE_SDK_CANCELLED ((pumice_sdk_status)13)  /* the user asked to stop: give it back at once */
#define PUMICE_SDK_NOT_FINITE ((pumice_sdk_status)14) /* NaN or infinity where a picture was expected */

#endif
