// A small checkpoint to run and to damage.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace pumice::test {

/// The tiny SD 1.x checkpoint of the goldens: a few MB, random weights.
inline std::filesystem::path tiny_checkpoint() {
    return std::filesystem::path(PUMICE_TEST_DATA) / "goldens" / "sd1" / "sd1_tiny.safetensors";
}

inline std::string read_file(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const std::filesystem::path& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
}

/// A safetensors file in two parts.
struct Safetensors {
    std::string header, data;
    explicit Safetensors(const std::string& file) {
        std::uint64_t size = 0;
        std::memcpy(&size, file.data(), 8);
        header = file.substr(8, size);
        data = file.substr(8 + size);
    }
    std::string file() const {
        const std::uint64_t size = header.size();
        std::string start(8, '\0');
        std::memcpy(start.data(), &size, 8);
        return start + header + data;
    }
};

}  // namespace pumice::test
