// Makes safetensors files for tests, sound ones and broken ones.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

namespace pumice::test {

/// A folder that goes with the object.
class TemporaryFolder {
public:
    TemporaryFolder() {
        static std::atomic<int> count{0};
        path_ = std::filesystem::temp_directory_path() / fmt::format("pumice_test_{}_{}", ::getpid(), count++);
        std::filesystem::create_directories(path_);
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

inline void write_file(const std::filesystem::path& path, std::string_view bytes) {
    std::FILE* const f = std::fopen(path.c_str(), "wb");
    if (f == nullptr) throw std::runtime_error("cannot write " + path.string());
    const std::size_t written = std::fwrite(bytes.data(), 1, bytes.size(), f);
    if (std::fclose(f) != 0 || written != bytes.size()) throw std::runtime_error("cannot write " + path.string());
}

/// Header length, header and data, as they stand.
inline std::string raw_file(std::string_view header, std::string_view data) {
    std::string file;
    for (int i = 0; i < 8; ++i) file += static_cast<char>(static_cast<std::uint64_t>(header.size()) >> (8 * i) & 255);
    return file.append(header).append(data);
}

/// A sound file, tensor by tensor.
class FileBuilder {
public:
    FileBuilder& add(std::string name, std::string dtype, std::vector<std::uint64_t> shape, std::string data) {
        tensors_.push_back({std::move(name), std::move(dtype), std::move(shape), std::move(data)});
        return *this;
    }
    template <class T>
    FileBuilder& add(std::string name, std::string dtype, std::vector<std::uint64_t> shape,
                     const std::vector<T>& values) {
        return add(std::move(name), std::move(dtype), std::move(shape),
                   std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)));
    }
    FileBuilder& metadata(std::string json) {
        metadata_ = std::move(json);
        return *this;
    }
    std::string build() const {
        std::string header = metadata_.empty() ? "{" : "{\"__metadata__\":" + metadata_, data;
        for (const Tensor& t : tensors_) {
            header += fmt::format("{}\"{}\":{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                                  header.size() > 1 ? "," : "", t.name, t.dtype, fmt::join(t.shape, ","), data.size(),
                                  data.size() + t.data.size());
            data += t.data;
        }
        return raw_file(header + "}", data);
    }

private:
    struct Tensor {
        std::string name, dtype;
        std::vector<std::uint64_t> shape;
        std::string data;
    };
    std::vector<Tensor> tensors_;
    std::string metadata_;
};

}  // namespace pumice::test
