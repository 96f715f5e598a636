#include "cli/output_names.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "image/atomic_file.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "pumice-", kEnding = ".png";

/// The number in "pumice-0012.png"; 0 for any other name.
std::uint32_t number_of(const std::string& name) {
    std::uint32_t number = 0;
    if (!name.starts_with(kPrefix) || !name.ends_with(kEnding)) return 0;
    const char* end = name.data() + name.size() - kEnding.size();
    const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, number);
    return error == std::errc() && stop == end ? number : 0;
}

/// A folder that cannot be read counts as empty: writing says what is wrong with it.
std::uint32_t highest_number(const fs::path& folder) {
    std::uint32_t highest = 0;
    std::error_code error;
    for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
         entry.increment(error))
        highest = std::max(highest, number_of(entry->path().filename().string()));
    return highest;
}

fs::path counted(const fs::path& folder, std::uint32_t number) {
    return folder / fmt::format("{}{:04}{}", kPrefix, number, kEnding);
}

}  // namespace

OutputNames::OutputNames(std::optional<std::string> output, std::optional<std::string> folder)
    : output_(std::move(output)), folder_(folder.value_or("")) {}

fs::path OutputNames::named(std::size_t index) const {
    if (index == 0) return *output_;
    return output_->parent_path() /
           fmt::format("{}-{}{}", output_->stem().string(), index + 1, output_->extension().string());
}

Expected<void> OutputNames::check() const {
    if (!output_) return host::check_writable(counted(folder_, 1));
    if (output_->empty()) return Failure{PUMICE_INVALID_ARGUMENT, "-o needs the name of a file"};
    std::string ending = output_->extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    constexpr std::array<std::string_view, 9> kOthers = {".jpg", ".jpeg", ".webp", ".bmp", ".gif",
                                                         ".tif", ".tiff", ".avif", ".jxl"};
    if (std::find(kOthers.begin(), kOthers.end(), ending) != kOthers.end())
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("-o {}: only PNG is written; let the name end with .png", output_->string())};
    return host::check_writable(*output_);
}

Expected<fs::path> OutputNames::write(std::size_t index, std::span<const std::uint8_t> png) {
    if (output_) {
        const fs::path file = named(index);
        HOST_TRY(host::write_file(file, png, host::Existing::replace));
        return file;
    }
    if (number_ == 0) number_ = highest_number(folder_);
    for (;;) {
        const fs::path file = counted(folder_, ++number_);
        HOST_ASSIGN(const bool written, host::write_file(file, png, host::Existing::keep));
        if (written) return file;
    }
}

}  // namespace pumice::cli
