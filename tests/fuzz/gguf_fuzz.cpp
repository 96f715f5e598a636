// A GGUF file of any bytes: the parser, and every block of every tensor as floats.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "weights/gguf.hpp"

namespace {

using namespace pumice;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto header = parse_gguf({reinterpret_cast<const std::byte*>(data), size}, "FILE");
    if (!header) {
        require(header.error().message.starts_with("FILE: "), "the message names the file");
        require(header.error().message.find('\n') == std::string::npos, "the message is one line");
        require(header.error().code == Code::bad_format || header.error().code == Code::unsupported,
                "damaged input is bad input");
        return 0;
    }
    std::vector<float> values;
    for (const StoredTensor& t : header->tensors) {
        require(shape_bytes(t.shape, t.dtype) == t.data.size(), "a tensor has the bytes of its shape");
        values.resize(static_cast<std::size_t>(std::min<std::uint64_t>(t.elements(), 4096)));
        read_f32(t, 0, values);
        if (!values.empty()) read_f32(t, t.elements() - 1, {values.data(), 1});
    }
    return 0;
}
