#include "cli/preview_file.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "image/atomic_file.hpp"
#include "image/png.hpp"
#include "outcome.hpp"

namespace pumice::cli {

void PreviewFile::show(const CommandLine& line, Request& request) {
    file_ = *line.preview;
    request.preview_every = line.preview_every;
    request.preview_method = line.preview_method == "taesd" ? PUMICE_PREVIEW_TAESD : PUMICE_PREVIEW_LATENT_RGB;
    request.preview_model = line.preview_model;
    request.on_preview = [this](const pumice_preview& preview) { take(preview); };
}

void PreviewFile::take(const pumice_preview& p) {
    if (failed_) return;
    const std::size_t row = std::size_t(p.width) * 3, all = row * p.pictures;
    rgb_.resize(all * p.height);
    for (std::uint32_t y = 0; y < p.height; ++y) std::copy_n(p.rgb + y * row, row, rgb_.data() + y * all + p.picture * row);
    if (p.picture + 1 < p.pictures) return;
    const auto written = [&]() -> Expected<void> {
        HOST_ASSIGN(const auto png, host::encode_png({p.width * p.pictures, p.height, rgb_, ""}));
        HOST_TRY(host::write_file(file_, png, host::Existing::replace));
        return {};
    }();
    if (written) return;
    failed_ = true;
    fmt::print(stderr, "note: no previews: {}\n", written.failure().message);
}

}  // namespace pumice::cli
