#include <fmt/format.h>

#include "cli/commands.hpp"

namespace pumice::cli {

std::string vulkan_text(std::uint32_t version) {
    return fmt::format("{}.{}.{}", (version >> 22) & 0x7Fu, (version >> 12) & 0x3FFu, version & 0xFFFu);
}

Expected<void> run_version() {
    const pumice_version version = pumice::version();
    const std::string commit = *version.commit ? fmt::format(" ({})", version.commit) : "";
    fmt::print("pumice {}{}\n", version.text, commit);
    fmt::print("Vulkan headers {}, loader {}\n", vulkan_text(version.vulkan_header),
               version.vulkan_loader ? vulkan_text(version.vulkan_loader) : "not found");
    fmt::print("compiler {}\n", version.compiler);
    return {};
}

}  // namespace pumice::cli
