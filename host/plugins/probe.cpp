#include "plugins/probe.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "plugins/check.hpp"
#include "plugins/child.hpp"

namespace pumice::plugins {
namespace {

/// What a verdict may have of bytes; more than the descriptions of 64 plugins need.
constexpr std::size_t kMostReport = 4u << 20;

Verdict verdict_of(const std::string& report, int status) {
    if (WIFSIGNALED(status)) return {{}, fmt::format("it crashed when it was tried out ({})", end_text(status))};
    const auto json = nlohmann::json::parse(report, nullptr, false);
    if (!json.is_object())
        return {{}, fmt::format("it ended the program when it was tried out (exit status {})", WEXITSTATUS(status))};
    Verdict verdict;
    if (json.contains("reason") && json["reason"].is_string()) return {{}, one_line(json["reason"].get<std::string>())};
    for (const auto& each : json.contains("plugins") ? json["plugins"] : nlohmann::json::array()) {
        auto description = description_from_json(each);
        if (!description) return {{}, description.error().message};
        verdict.plugins.push_back(*std::move(description));
    }
    // The verdict comes before deinit and the unloading, which must end well too.
    if (WEXITSTATUS(status) != 0 || verdict.plugins.empty())
        return {{}, fmt::format("it ended the program when it was unloaded (exit status {})", WEXITSTATUS(status))};
    return verdict;
}

}  // namespace

Result<Verdict> probe(const std::filesystem::path& program, const std::filesystem::path& library, double seconds) {
    std::string report;
    const Child child{.program = program, .arguments = {library.string()}, .seconds = seconds};
    const auto take = [&](std::string_view text) {
        if (report.size() < kMostReport) report += text;
    };
    PUMICE_ASSIGN(const ChildEnd end, run_child(child, take));
    if (!end.in_time)
        return Verdict{{}, fmt::format("it did not answer within {} s when it was tried out", seconds)};
    return verdict_of(report, end.status);
}

int probe_here(const std::filesystem::path& library, int descriptor) {
    nlohmann::ordered_json report;
    {
        auto opened = Library::open(library);
        auto plugins = opened ? examine(*opened) : Result<std::vector<Description>>(opened.error());
        if (plugins) {
            report["plugins"] = nlohmann::ordered_json::array();
            for (const Description& each : *plugins) report["plugins"].push_back(to_json(each));
        } else {
            report["reason"] = plugins.error().message;
        }
        const std::string text = report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        for (std::size_t at = 0; at < text.size();) {
            const ssize_t put = ::write(descriptor, text.data() + at, text.size() - at);
            if (put < 0 && errno != EINTR) return 1;
            if (put > 0) at += static_cast<std::size_t>(put);
        }
    }
    return 0;
}

}  // namespace pumice::plugins
