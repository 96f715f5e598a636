#include "plugins/spirv.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace pumice::plugins {
namespace {

// Numbers of the SPIR-V specification, sections 3.3 to 3.32.
constexpr std::uint32_t kMagic = 0x07230203, kVersion15 = 0x00010500, kVersion10 = 0x00010000;
constexpr std::uint32_t kOpEntryPoint = 15, kOpExecutionMode = 16, kOpDecorate = 71;
constexpr std::uint32_t kGlCompute = 5, kLocalSize = 17, kBinding = 33, kDescriptorSet = 34;
constexpr std::size_t kHeaderWords = 5;

Error broken(const std::string& what) {
    return {Code::bad_format, "no SPIR-V that can be used: " + what};
}

/// A literal string that begins at words[0].
std::string text(std::span<const std::uint32_t> words) {
    std::string bytes(words.size_bytes(), '\0');
    if (!bytes.empty()) std::memcpy(bytes.data(), words.data(), bytes.size());
    return bytes.substr(0, bytes.find('\0'));
}

}  // namespace

Result<SpirvInterface> read_spirv(std::span<const std::uint32_t> words) {
    if (words.size() < kHeaderWords || words[0] != kMagic) return broken("it does not begin as a module does");
    if (words[1] < kVersion10 || words[1] > kVersion15)
        return broken(fmt::format("its version is {}.{}, not 1.0 to 1.5", words[1] >> 16, (words[1] >> 8) & 0xFF));
    SpirvInterface found;
    bool main = false;
    for (std::size_t at = kHeaderWords; at < words.size();) {
        const std::uint32_t count = words[at] >> 16, op = words[at] & 0xFFFF;
        if (count == 0 || count > words.size() - at) return broken(fmt::format("it is cut off at word {}", at));
        const auto operands = words.subspan(at + 1, count - 1);
        at += count;
        if (op == kOpEntryPoint && operands.size() >= 3 && operands[0] == kGlCompute)
            main = main || text(operands.subspan(2)) == "main";
        if (op == kOpExecutionMode && operands.size() >= 5 && operands[1] == kLocalSize)
            found.local_size = {operands[2], operands[3], operands[4]};
        if (op == kOpDecorate && operands.size() >= 3 && operands[1] == kBinding)
            found.bindings = std::max(found.bindings, operands[2] == UINT32_MAX ? operands[2] : operands[2] + 1);
        if (op == kOpDecorate && operands.size() >= 3 && operands[1] == kDescriptorSet)
            found.other_set = std::max(found.other_set, operands[2]);
    }
    if (!main) return broken("it has no compute entry point called main");
    return found;
}

}  // namespace pumice::plugins
