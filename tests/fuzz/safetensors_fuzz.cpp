// A safetensors file of any bytes: the parser, the geometry inferred from its tensors, and the plan of each as a
// weight.
#include <cstdio>
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "models/configs.hpp"
#include "weights/safetensors.hpp"
#include "weights/weight_plan.hpp"

namespace {

using namespace pumice;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

void check_message(const Error& error, const std::string& file) {
    require(error.message.starts_with(file + ": "), "the message names the file");
    require(error.message.find('\n') == std::string::npos, "the message is one line");
    require(error.code != Code::internal, "damaged input is no bug of ours");
}

/// A file in memory that can be opened by name.
struct MemoryFile {
    int fd = ::memfd_create("fuzz", 0);
    std::string path = "/proc/self/fd/" + std::to_string(fd);
    bool write(const std::uint8_t* data, std::size_t size) const {
        return ::ftruncate(fd, 0) == 0 && ::pwrite(fd, data, size, 0) == static_cast<::ssize_t>(size);
    }
};

void check_tensors(const SafetensorsHeader& header, std::size_t file_size) {
    std::size_t sum = 0;
    const StoredTensor* before = nullptr;
    for (const StoredTensor& t : header.tensors) {
        sum += t.data.size();
        require(!before || before->name < t.name, "names are sorted and unique");
        before = &t;
        for (const WeightUse use : {WeightUse::linear, WeightUse::conv, WeightUse::geglu, WeightUse::vector,
                                    WeightUse::geglu_vector, WeightUse::table})
            if (const auto weight = planned_weight(t, use)) {
                // Padding at most quadruples each of two axes; f16 vectors double.
                require(device_bytes(*weight) <= 32 * t.data.size(), "a weight is of the tensor's size");
                require(2 * device_bytes(*weight) >= t.data.size(), "a weight holds the tensor");
            }
    }
    require(sum < file_size, "tensors share no bytes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const MemoryFile memory;
    const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
    const auto header = parse_safetensors(bytes, "FILE");
    if (!header) {
        check_message(header.error(), "FILE");
        return 0;
    }
    check_tensors(*header, size);
    if (!memory.write(data, size)) return 0;
    const auto file = WeightFile::open(memory.path);
    require(static_cast<bool>(file), "a file parses as its bytes do");
    if (const auto config = model_config(*file); !config) check_message(config.error(), memory.path);
    return 0;
}
