#include "cli/progress.hpp"

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

namespace pumice::cli {
namespace {

/// Plain lines come at most this often, in seconds; the last step's always.
constexpr double kLineInterval = 1;
constexpr std::uint32_t kBarWidth = 24;

std::string bar(std::uint32_t done, std::uint32_t all) {
    const std::uint32_t filled = all ? std::uint32_t(std::uint64_t(kBarWidth) * done / all) : 0;
    return fmt::format("[{:#<{}}{:.<{}}]", "", filled, "", kBarWidth - filled);
}

}  // namespace

std::string rate_text(double steps_per_second) {
    if (!(steps_per_second > 0)) return "";
    if (steps_per_second < 1) return fmt::format("{:.2f} s/it", 1 / steps_per_second);
    return fmt::format("{:.2f} it/s", steps_per_second);
}

std::string duration_text(double seconds) {
    const auto whole = static_cast<long long>(std::llround(std::max(seconds, 0.0)));
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
    return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

ProgressView::Style ProgressView::style_for(std::FILE* out, bool quiet) {
    if (quiet) return Style::none;
    const char* terminal = std::getenv("TERM");
    const bool dumb = !terminal || std::string_view(terminal) == "dumb";
    return ::isatty(::fileno(out)) && !dumb ? Style::terminal : Style::lines;
}

void ProgressView::loading(const std::string& model) {
    show("loading " + model);
}

void ProgressView::update(const pumice_progress& progress) {
    const bool last = progress.step == progress.steps;
    switch (progress.stage) {
        case PUMICE_STAGE_LOAD:
            return show("starting");
        case PUMICE_STAGE_TEXT:
            return show("preparing the network");
        case PUMICE_STAGE_STEP: {
            const std::string line = step_line(progress);
            if (style_ == Style::lines && !last && progress.seconds - last_line_ < kLineInterval) return;
            last_line_ = progress.seconds;
            return show(line);
        }
        case PUMICE_STAGE_DECODE:
            return show(fmt::format("decoded {}/{}", progress.step, progress.steps));
    }
}

void ProgressView::bytes(const char* what, std::uint64_t done, std::uint64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (!writing_since_) writing_since_ = now;
    const std::uint64_t percent = total > 0 ? done * 100 / total : 100;
    const double seconds = std::chrono::duration<double>(now - *writing_since_).count();
    if (percent == last_percent_ || (style_ == Style::lines && seconds - last_line_ < kLineInterval)) return;
    last_percent_ = percent;
    last_line_ = seconds;
    std::string line = fmt::format("{} {} %", what, percent);
    if (seconds > 1 && done < total) {
        const double left = seconds / static_cast<double>(done) * static_cast<double>(total - done);
        line += fmt::format("  {:.0f} MB/s  {} left", static_cast<double>(done) / seconds / 1e6, duration_text(left));
    }
    show(line);
}

std::string ProgressView::step_line(const pumice_progress& progress) {
    if (!first_step_end_) first_step_end_ = progress.seconds;
    const double rate = progress.step > 1 ? (progress.step - 1) / (progress.seconds - *first_step_end_) : 0;
    std::string line = fmt::format("step {}/{}", progress.step, progress.steps);
    if (style_ == Style::terminal) line = bar(progress.step, progress.steps) + " " + line;
    if (rate > 0 && std::isfinite(rate))
        line += fmt::format("  {}  {} left", rate_text(rate), duration_text((progress.steps - progress.step) / rate));
    return line;
}

void ProgressView::show(const std::string& line) {
    if (style_ == Style::none) return;
    if (style_ == Style::lines) {
        fmt::print(out_, "{}\n", line);
    } else {
        fmt::print(out_, "\r\033[K{}", line);
        shown_ = true;
    }
    std::fflush(out_);
}

void ProgressView::clear() {
    if (!shown_) return;
    fmt::print(out_, "\r\033[K");
    std::fflush(out_);
    shown_ = false;
}

}  // namespace pumice::cli
