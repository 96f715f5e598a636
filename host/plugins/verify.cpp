#include "plugins/verify.hpp"

#include <stdlib.h>
#include <sys/wait.h>

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "plugins/check.hpp"
#include "plugins/child.hpp"

namespace pumice::plugins {
namespace {

/// More of them, and the rest is not waited for.
constexpr int kMostHangs = 4;
constexpr std::size_t kMostReport = 16u << 20;

/// A folder that goes when this does, with what is in it.
class WorkFolder {
public:
    WorkFolder() {
        std::error_code error;
        std::string name = (std::filesystem::temp_directory_path(error) / "pumice-verify-XXXXXX").string();
        if (!error && ::mkdtemp(name.data())) path_ = name;
    }
    ~WorkFolder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    WorkFolder(const WorkFolder&) = delete;
    /// Empty when it could not be made.
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// What one run of the program tells.
class Listener {
public:
    Listener(Verification& to, const std::function<void(const Checked&)>& on_check) : to_(to), on_check_(on_check) {}

    void take(std::string_view text) {
        if ((size_ += text.size()) > kMostReport) return;
        for (const char c : text) {
            if (c != '\n') {
                line_ += c;
                continue;
            }
            read(nlohmann::json::parse(line_, nullptr, false));
            line_.clear();
        }
    }
    void ended(const std::string& why, const std::string& not_run = "") {
        to_.checks.push_back(
            {std::exchange(open_, std::nullopt).value_or("library: the process ends well"), why, not_run});
        if (on_check_) on_check_(to_.checks.back());
    }
    bool done() const { return done_; }
    bool open() const { return open_.has_value(); }
    int index() const { return index_; }

private:
    void read(const nlohmann::json& json) {
        if (!json.is_object()) return;
        if (json.contains("begin") && json["begin"].is_number_integer() && json.contains("check") &&
            json["check"].is_string()) {
            index_ = json["begin"].get<int>();
            open_ = one_line(json["check"].get<std::string>());
        } else if (json.contains("end") && open_ && json.contains("why") && json["why"].is_string()) {
            ended(one_line(json["why"].get<std::string>()), one_line(json.value("not_run", std::string())));
        } else if (json.contains("plugins") && to_.plugins.empty()) {
            for (const auto& each : json["plugins"])
                if (auto description = description_from_json(each)) to_.plugins.push_back(*std::move(description));
        } else if (json.contains("done")) {
            done_ = true;
        }
    }

    Verification& to_;
    const std::function<void(const Checked&)>& on_check_;
    std::string line_;
    std::size_t size_ = 0;
    std::optional<std::string> open_;
    int index_ = -1;
    bool done_ = false;
};

}  // namespace

std::size_t Verification::failed() const {
    return static_cast<std::size_t>(
        std::count_if(checks.begin(), checks.end(), [](const Checked& check) { return !check.why.empty(); }));
}

std::size_t Verification::not_run() const {
    return static_cast<std::size_t>(
        std::count_if(checks.begin(), checks.end(), [](const Checked& check) { return !check.not_run.empty(); }));
}

Result<Verification> verify(const std::filesystem::path& program, const std::filesystem::path& library,
                            const VerifyOptions& options, const std::function<void(const Checked&)>& on_check) {
    for (const std::string& file : options.files)
        if (const std::size_t cut = file.find('='); cut == 0 || cut == std::string::npos || cut + 1 == file.size())
            return Error{Code::invalid_argument, fmt::format("{} names no file: NAME=FILE", one_line(file))};
    const WorkFolder folder;
    if (folder.path().empty()) return Error{Code::io, "cannot make a folder for temporary files; is TMPDIR right?"};
    const double seconds = options.seconds;
    Verification verification;
    int hangs = 0;
    for (int from = 0;;) {
        Listener listener(verification, on_check);
        Child child{.program = program,
                    .arguments = {library.string(), fmt::to_string(from), folder.path().string(), options.device},
                    .seconds = seconds,
                    .each = true};
        child.arguments.insert(child.arguments.end(), options.files.begin(), options.files.end());
        PUMICE_ASSIGN(const ChildEnd end, run_child(child, [&](std::string_view text) { listener.take(text); }));
        const bool crashed = WIFSIGNALED(end.status);
        const bool well = end.in_time && !crashed && WEXITSTATUS(end.status) == 0;
        if (listener.done() || !listener.open()) {
            listener.ended(well && listener.done() ? ""
                           : !end.in_time          ? fmt::format("it did not end within {} s", seconds)
                                                   : fmt::format("it ended with {}", end_text(end.status)));
            return verification;
        }
        listener.ended(!end.in_time ? fmt::format("it took more than {} s", seconds)
                       : crashed    ? fmt::format("it crashed ({})", end_text(end.status))
                                    : fmt::format("it ended the program ({})", end_text(end.status)));
        hangs += end.in_time ? 0 : 1;
        // What everything else needs, or no end of it.
        if (verification.plugins.empty() || hangs >= kMostHangs || listener.index() < from) return verification;
        from = listener.index() + 1;
    }
}

}  // namespace pumice::plugins
