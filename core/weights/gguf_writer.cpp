#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "weights/gguf.hpp"
#include "weights/output_model.hpp"

namespace pumice {
namespace {

constexpr std::uint64_t kAlignment = 32;
constexpr std::uint32_t kVersion = 3, kText = 8;
constexpr std::size_t kMaxName = 127;  // stable-diffusion.cpp's GGML_MAX_NAME of 128 has room for a 0

std::string little(std::uint64_t value, std::size_t size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
    return bytes;
}

std::string text(std::string_view value) {
    return little(value.size(), 8).append(value);
}

std::optional<std::uint32_t> number_of(StoredType type) {
    for (std::uint32_t number = 0; number < 64; ++number)
        if (ggml_type(number) == type) return number;
    return std::nullopt;
}

std::uint64_t padded(std::uint64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

Error cannot(const OutputTensor& t, const std::string& why) {
    return {Code::unsupported, fmt::format("tensor '{}' {}", printable(t.name), why)};
}

/// Everything before the data.
Result<std::string> header_of(const OutputModel& model) {
    std::string header =
        "GGUF" + little(kVersion, 4) + little(model.tensors.size(), 8) + little(model.metadata.size(), 8);
    for (const auto& [key, value] : model.metadata) header += text(key) + little(kText, 4) + text(value);
    std::uint64_t offset = 0;
    for (const OutputTensor& t : model.tensors) {
        const auto type = number_of(t.dtype);
        if (!type)
            return cannot(
                t, fmt::format("is {}, which GGUF does not have; choose a type as fp16 or q8_0", to_string(t.dtype)));
        if (t.shape.size() > 4) return cannot(t, fmt::format("has {} axes, but GGUF allows 4", t.shape.size()));
        if (t.name.size() > kMaxName) return cannot(t, "has a name that is too long for GGUF");
        header += text(t.name) + little(t.shape.size(), 4);
        for (std::size_t i = t.shape.size(); i-- > 0;) header += little(t.shape[i], 8);  // the innermost axis first
        header += little(*type, 4) + little(offset, 8);
        offset += padded(t.byte_count());
    }
    return header;
}

}  // namespace

Status write_gguf(NewFile& file, const OutputModel& model, const OnWritten& on_written) {
    PUMICE_ASSIGN(const std::string header, header_of(model));
    PUMICE_TRY(file.write(std::as_bytes(std::span(header.data(), header.size()))));
    PUMICE_TRY(file.align(kAlignment));
    for (const OutputTensor& t : model.tensors) {
        PUMICE_TRY(append_tensor(file, t, on_written));
        PUMICE_TRY(file.align(kAlignment));
    }
    return {};
}

}  // namespace pumice
