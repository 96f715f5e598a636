// Makes GGUF files for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pumice::test {

inline std::string little(std::uint64_t value, std::size_t size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
    return bytes;
}

class GgufBuilder {
public:
    static std::string text(std::string_view value) { return little(value.size(), 8).append(value); }

    GgufBuilder& entry(std::string_view key, std::uint32_t type, std::string_view value) {
        entries_ += text(key) + little(type, 4);
        entries_ += value;
        ++entry_count_;
        return *this;
    }
    /// `shape` as safetensors has it, the innermost axis last; `type` is ggml's number.
    GgufBuilder& add(std::string_view name, std::uint32_t type, const std::vector<std::uint64_t>& shape,
                     std::string_view data) {
        data_.resize((data_.size() + 31) / 32 * 32);
        infos_ += text(name) + little(shape.size(), 4);
        for (std::size_t i = shape.size(); i-- > 0;) infos_ += little(shape[i], 8);
        infos_ += little(type, 4) + little(data_.size(), 8);
        data_ += data;
        ++tensor_count_;
        return *this;
    }
    std::string build(std::uint32_t version = 3) const {
        std::string file =
            "GGUF" + little(version, 4) + little(tensor_count_, 8) + little(entry_count_, 8) + entries_ + infos_;
        file.resize((file.size() + 31) / 32 * 32);
        return file + data_;
    }

private:
    std::string entries_, infos_, data_;
    std::uint64_t entry_count_ = 0, tensor_count_ = 0;
};

}  // namespace pumice::test
