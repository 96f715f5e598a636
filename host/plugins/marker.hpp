// A small file that says which plugin's code runs now, so that after a crash the next start knows whom to leave out.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace pumice::plugins {

/// The file lies in `folder` while this lives, locked; its content is memory that outlives the process, so that to say
/// "now" and "no more" costs a write to memory. A marker that cannot be made marks nothing.
class Marker {
public:
    /// `folder` empty: marks nothing.
    Marker(const std::filesystem::path& folder, const std::string& plugin);
    ~Marker();
    Marker(const Marker&) = delete;

    void set(bool running) noexcept {
        if (memory_) *memory_ = running ? '1' : '0';
    }

private:
    std::filesystem::path file_;
    int descriptor_ = -1;
    volatile char* memory_ = nullptr;
};

/// For as long as it lives the plugin's code runs, or (outside) the host's.
class Marked {
public:
    Marked(Marker* marker, bool running) : marker_(marker), running_(running) { set(running_); }
    ~Marked() { set(!running_); }
    Marked(const Marked&) = delete;

private:
    void set(bool running) noexcept {
        if (marker_) marker_->set(running);
    }
    Marker* marker_;
    bool running_;
};

/// Plugins whose code ran when their process ended: read from the files that nobody holds any more, which are removed.
std::vector<std::string> take_crashed(const std::filesystem::path& folder);

}  // namespace pumice::plugins
