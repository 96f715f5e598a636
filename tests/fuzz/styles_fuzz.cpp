// A file of styles of any bytes.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "config/styles.hpp"

namespace {

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto rows = pumice::host::parse_csv(text, "styles.csv");
    if (!rows) {
        require(rows.failure().status == PUMICE_BAD_FORMAT, "a broken file is a bad format");
        require(rows.failure().message.find('\n') == std::string::npos, "the message is one line");
        return 0;
    }
    std::size_t bytes = 0;
    for (const auto& row : *rows) {
        require(!row.empty(), "a row has a field");
        for (const std::string& field : row) bytes += field.size();
    }
    require(bytes <= size, "fields are parts of the file");
    if (rows->size() < 2) return 0;
    const auto& row = rows->back();
    std::string prompt = "a boat", negative;
    pumice::host::apply_style({row[0], row[0], row.back()}, prompt, negative);
    require(prompt.size() <= (row[0].size() + 1) * 6 + 8, "a style is put around the prompt");
    return 0;
}
