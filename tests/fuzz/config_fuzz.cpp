// A configuration file of any bytes: settings within their limits, or one line that names file and line.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "config/config_file.hpp"

namespace {

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pumice;
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto settings = host::parse_config(text, "FILE");
    if (!settings) {
        const Failure& failure = settings.failure();
        require(failure.message.starts_with("FILE:"), "the message names the file");
        require(failure.message.find('\n') == std::string::npos, "the message is one line");
        require(failure.status == PUMICE_BAD_FORMAT || failure.status == PUMICE_INVALID_ARGUMENT,
                "the status is one of two");
        return 0;
    }
    const auto within = [](const auto& value, auto least, auto most) {
        return !value || (*value >= least && *value <= most);
    };
    require(within(settings->width, 64u, 16384u) && settings->width.value_or(8) % 8 == 0, "width");
    require(within(settings->height, 64u, 16384u) && settings->height.value_or(8) % 8 == 0, "height");
    require(within(settings->steps, 1u, 1000u), "steps");
    require(within(settings->batch, 1u, 64u), "batch");
    require(within(settings->clip_skip, 1u, 64u), "clip_skip");
    require(within(settings->cfg, 0.0, 100.0), "cfg");
    return 0;
}
