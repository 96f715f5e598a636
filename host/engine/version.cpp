#include <vulkan/vulkan.h>

#include "engine/abi.hpp"
#include "pumice_commit.h"  // generated: PUMICE_COMMIT

#define PUMICE_TEXT_(x) #x
#define PUMICE_TEXT(x) PUMICE_TEXT_(x)

namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "Clang " __clang_version__;
#elif defined(__GNUC__)
constexpr const char* kCompiler =
    "GCC " PUMICE_TEXT(__GNUC__) "." PUMICE_TEXT(__GNUC_MINOR__) "." PUMICE_TEXT(__GNUC_PATCHLEVEL__);
#elif defined(_MSC_VER)
constexpr const char* kCompiler = "MSVC " PUMICE_TEXT(_MSC_FULL_VER);
#else
constexpr const char* kCompiler = "";
#endif

std::uint32_t loader_version() {
    std::uint32_t version = 0;
    return vkEnumerateInstanceVersion(&version) == VK_SUCCESS ? version : 0;
}

}  // namespace

extern "C" {

pumice_status pumice_get_version(pumice_version* version) {
    return pumice::abi::guard(nullptr, [&] {
        const pumice_version value = {sizeof(pumice_version),
                                      PUMICE_VERSION_MAJOR,
                                      PUMICE_VERSION_MINOR,
                                      PUMICE_VERSION_PATCH,
                                      PUMICE_VERSION_TEXT,
                                      PUMICE_COMMIT,
                                      kCompiler,
                                      VK_HEADER_VERSION_COMPLETE,
                                      loader_version()};
        return pumice::abi::write_struct(value, version, "version");
    });
}

}  // extern "C"
