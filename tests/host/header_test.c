/* The header is C11, and its initializers are constants. */
#include <pumice/pumice.h>

static const pumice_error error = PUMICE_ERROR_INIT;
static const pumice_version version = PUMICE_VERSION_INIT;
static const pumice_device_info device_info = PUMICE_DEVICE_INFO_INIT;
static const pumice_engine_options engine_options = PUMICE_ENGINE_OPTIONS_INIT;
static const pumice_model_options model_options = PUMICE_MODEL_OPTIONS_INIT;
static const pumice_request request = PUMICE_REQUEST_INIT;
static const pumice_image image = PUMICE_IMAGE_INIT;

size_t pumice_sizes_in_c(void) {
    return error.struct_size + version.struct_size + device_info.struct_size + engine_options.struct_size +
           model_options.struct_size + request.struct_size + image.struct_size;
}
