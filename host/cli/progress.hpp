// What the user sees while a picture is made, on stderr: one line that changes on a terminal, plain lines otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "pumice/pumice.hpp"

namespace pumice::cli {

/// "3.41 it/s"; below 1 "2.50 s/it".
std::string rate_text(double steps_per_second);
/// "12 s", "3 min 20 s", "1 h 5 min".
std::string duration_text(double seconds);

class ProgressView {
public:
    enum class Style : std::uint8_t { none, lines, terminal };
    /// Lines when `out` is no terminal.
    static Style style_for(std::FILE* out, bool quiet);

    ProgressView(std::FILE* out, Style style) : out_(out), style_(style) {}
    ~ProgressView() { clear(); }
    ProgressView(const ProgressView&) = delete;
    ProgressView& operator=(const ProgressView&) = delete;

    void loading(const std::string& model);
    void update(const pumice_progress&);
    /// Of a file being written or read, in bytes.
    void written(std::uint64_t done, std::uint64_t total) { bytes("written", done, total); }
    void read(std::uint64_t done, std::uint64_t total) { bytes("read", done, total); }
    /// Takes the changing line away, before something else is printed.
    void clear();

private:
    void bytes(const char* what, std::uint64_t done, std::uint64_t total);
    void show(const std::string& line);
    std::string step_line(const pumice_progress&);

    std::FILE* out_;
    Style style_;
    bool shown_ = false;
    std::optional<double> first_step_end_;  ///< the first step also compiles, so the rate leaves it out
    double last_line_ = 0;
    std::optional<std::chrono::steady_clock::time_point> writing_since_;
    std::uint64_t last_percent_ = 0;
};

}  // namespace pumice::cli
