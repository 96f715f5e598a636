// What is kept of plugins between runs: verdicts of the probe, and which ones are off.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "plugins/probe.hpp"

namespace pumice::plugins {

/// Why a plugin is not used though nothing is wrong with its library.
struct Off {
    enum class By : std::uint8_t { user, crash } by = By::user;
    std::string reason;
};

/// plugin-verdicts.json and plugins-off.json in a folder. A file that is missing or damaged counts as empty; one that
/// cannot be written is given up silently for verdicts (the next start probes again), with an error for the second.
class Store {
public:
    /// Empty: nothing is kept.
    explicit Store(std::filesystem::path folder);

    const std::filesystem::path& folder() const { return folder_; }

    /// The verdict on a library that has not changed: same path, size and time; or the same contents.
    std::optional<Verdict> verdict(const std::filesystem::path& library);
    void keep(const std::filesystem::path& library, const Verdict&);
    /// Writes the verdicts, if there are new ones.
    void save_verdicts();

    const std::map<std::string, Off>& off() const { return off_; }
    /// Code::io.
    Status set_off(const std::string& id, std::optional<Off> off);

private:
    struct Entry {
        std::uint64_t size = 0;
        std::int64_t time = 0;
        std::string sha256;
        Verdict verdict;
    };
    void read_verdicts();
    void read_off();

    std::filesystem::path folder_;
    std::map<std::string, Entry> verdicts_;
    std::map<std::string, Off> off_;
    bool changed_ = false;
};

}  // namespace pumice::plugins
