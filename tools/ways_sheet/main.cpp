// ways_sheet: what make.sh needs beside the program.
//
//     ways_sheet join OUT.png FILE… / FILE… / …   pictures in rows; tile:FILE is shown two by two
//     ways_sheet mask OUT.png WIDTH HEIGHT LEFT TOP RIGHT BOTTOM
#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/exit_codes.hpp"
#include "image/atomic_file.hpp"
#include "image/png.hpp"
#include "outcome.hpp"

namespace pumice {
namespace {

constexpr std::uint32_t kGap = 4;

struct Bytes {
    std::uint32_t width = 0, height = 0;
    std::vector<std::uint8_t> rgb;
};

Bytes blank(std::uint32_t width, std::uint32_t height, std::uint8_t value) {
    return {width, height, std::vector<std::uint8_t>(std::size_t(width) * height * 3, value)};
}

void paste(Bytes& onto, const Bytes& from, std::uint32_t left, std::uint32_t top) {
    for (std::uint32_t y = 0; y < from.height; ++y)
        std::copy_n(from.rgb.begin() + std::ptrdiff_t(y) * from.width * 3, std::size_t(from.width) * 3,
                    onto.rgb.begin() + (std::ptrdiff_t(top + y) * onto.width + left) * 3);
}

Expected<Bytes> read(std::string_view name) {
    const bool tiled = name.starts_with("tile:");
    if (tiled) name.remove_prefix(5);
    HOST_ASSIGN(const host::DecodedImage image, host::read_png(name));
    Bytes bytes{image.width, image.height, host::on_white(image)};
    if (!tiled) return bytes;
    Bytes four = blank(2 * bytes.width, 2 * bytes.height, 0);
    for (std::uint32_t i = 0; i < 4; ++i) paste(four, bytes, i % 2 * bytes.width, i / 2 * bytes.height);
    return four;
}

Expected<void> write(const std::string& file, const Bytes& bytes) {
    HOST_ASSIGN(const auto png, host::encode_png({bytes.width, bytes.height, bytes.rgb, ""}));
    HOST_TRY(host::write_file(file, png, host::Existing::replace));
    return {};
}

Expected<void> join(const std::vector<std::string>& names) {
    std::vector<std::vector<Bytes>> rows(1);
    for (std::size_t i = 1; i < names.size(); ++i) {
        if (names[i] == "/") {
            rows.emplace_back();
            continue;
        }
        HOST_ASSIGN(Bytes bytes, read(names[i]));
        rows.back().push_back(std::move(bytes));
    }
    std::uint32_t width = 0, height = 0;
    std::vector<std::uint32_t> tops;
    for (const auto& row : rows) {
        std::uint32_t across = 0, down = 0;
        for (const Bytes& each : row) {
            across += each.width + kGap;
            down = std::max(down, each.height);
        }
        tops.push_back(height);
        width = std::max(width, across);
        height += down + kGap;
    }
    Bytes sheet = blank(width - kGap, height - kGap, 255);
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::uint32_t left = 0;
        for (const Bytes& each : rows[r]) {
            paste(sheet, each, left, tops[r]);
            left += each.width + kGap;
        }
    }
    return write(names[0], sheet);
}

/// White between the sides, black around.
Expected<void> mask(const std::vector<std::string>& words) {
    std::vector<std::uint32_t> n;
    for (std::size_t i = 1; i < words.size(); ++i) n.push_back(static_cast<std::uint32_t>(std::atoi(words[i].c_str())));
    if (n.size() != 6 || n[4] > n[0] || n[5] > n[1] || n[2] >= n[4] || n[3] >= n[5])
        return Failure{PUMICE_INVALID_ARGUMENT, "mask needs OUT.png WIDTH HEIGHT LEFT TOP RIGHT BOTTOM"};
    Bytes all = blank(n[0], n[1], 0);
    paste(all, blank(n[4] - n[2], n[5] - n[3], 255), n[2], n[3]);
    return write(words[0], all);
}

}  // namespace
}  // namespace pumice

int main(int argc, char** argv) {
    using namespace pumice;
    const std::vector<std::string> words(argv + std::min(argc, 2), argv + argc);
    const std::string command = argc > 1 ? argv[1] : "";
    Expected<void> done = Failure{PUMICE_INVALID_ARGUMENT, "use join OUT.png FILE…, or mask OUT.png …"};
    if (command == "join" && words.size() > 1) done = join(words);
    if (command == "mask" && !words.empty()) done = mask(words);
    if (done) return 0;
    fmt::print(stderr, "ways_sheet: {}\n", done.failure().message);
    return cli::exit_code(done.failure().status);
}
