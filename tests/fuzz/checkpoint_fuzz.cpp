// A PyTorch checkpoint of any bytes: the pickle alone, and the file in either layout.
#include <cstdio>
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "weights/checkpoint.hpp"
#include "weights/torch_pickle.hpp"
#include "weights/weight_file.hpp"

namespace {

using namespace pumice;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

void check_message(const Error& error) {
    require(error.message.find('\n') == std::string::npos, "the message is one line");
    require(error.code == Code::bad_format, "damaged input is bad input");
}

/// A file in memory that can be opened by name.
struct MemoryFile {
    int fd = ::memfd_create("fuzz", 0);
    std::string path = "/proc/self/fd/" + std::to_string(fd);
    bool write(const std::uint8_t* data, std::size_t size) const {
        return ::ftruncate(fd, 0) == 0 && ::pwrite(fd, data, size, 0) == static_cast<::ssize_t>(size);
    }
};

void check_pickle(std::span<const std::byte> bytes) {
    const auto pickle = Pickle::parse(bytes, torch_allows);
    if (!pickle) return check_message(pickle.error());
    for (PickleId id = 0; id < pickle->size(); ++id)
        for (const PickleId item : (*pickle)[id].items) require(item < pickle->size(), "items are values");
    if (const auto weights = torch_weights(*pickle); !weights) check_message(weights.error());
}

void check_tensors(const WeightFile& file) {
    unsigned sum = 0;
    for (const StoredTensor& t : file.tensors()) {
        require(shape_bytes(t.shape, t.dtype) == t.data.size(), "a tensor has the bytes of its shape");
        for (const std::byte b : t.data) sum += std::to_integer<unsigned>(b);  // all of them can be read
    }
    require(sum < ~0u, "sums of small files are small");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const MemoryFile memory;
    check_pickle({reinterpret_cast<const std::byte*>(data), size});
    if (size == 0 || !is_checkpoint({reinterpret_cast<const std::byte*>(data), size})) return 0;
    if (!memory.write(data, size)) return 0;
    const auto file = WeightFile::open(memory.path);
    if (!file) {
        check_message(file.error());
        require(file.error().message.starts_with(memory.path + ": "), "the message names the file");
        return 0;
    }
    check_tensors(*file);
    return 0;
}
