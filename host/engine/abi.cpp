#include "engine/abi.hpp"

#include <cstdlib>

namespace pumice::abi {

pumice_status report(const Error& error, pumice_error* out) {
    const pumice_status status = to_status(error.code);
    if (!out || out->struct_size < sizeof(pumice_error)) return status;
    out->status = status;
    out->vk_result = error.vk_result;
    std::size_t size = std::min(error.message.size(), sizeof(out->message) - 1);
    if (size < error.message.size())  // not within a character
        while (size > 0 && (static_cast<unsigned char>(error.message[size]) & 0xC0u) == 0x80u) --size;
    std::memcpy(out->message, error.message.data(), size);
    out->message[size] = 0;
    return status;
}

Log log_to(LogCallback callback, void* user) {
    if (!callback) return {};
    return Log::to(
        [=](LogLevel level, std::string_view line) {
            callback(user, static_cast<pumice_log_level>(level), std::string(line).c_str());
        },
        LogLevel::debug);
}
static_assert(static_cast<int>(LogLevel::debug) == PUMICE_LOG_DEBUG);
static_assert(static_cast<int>(LogLevel::error) == PUMICE_LOG_ERROR);

char* text_to_caller(const std::string& text) {
    auto* copy = static_cast<char*>(std::malloc(text.size() + 1));
    if (!copy) throw std::bad_alloc();
    std::memcpy(copy, text.c_str(), text.size() + 1);
    return copy;
}

plugins::RegistryOptions builtin_plugins() {
    const plugins::InstalledParts parts = plugins::installed_parts();
    plugins::RegistryOptions options;
    options.builtin = parts.plugins;
    options.probe = parts.probe;
    return options;
}

}  // namespace pumice::abi

extern "C" const char* pumice_status_name(pumice_status status) {
    static constexpr const char* kNames[] = {
        "ok",          "internal",        "invalid_argument",   "not_found",
        "io",          "bad_format",      "unsupported",        "no_driver",
        "no_device",   "missing_feature", "out_of_host_memory", "out_of_device_memory",
        "device_lost", "cancelled",       "not_finite"};
    const auto index = static_cast<unsigned>(status);
    return index < std::size(kNames) ? kNames[index] : "unknown";
}
