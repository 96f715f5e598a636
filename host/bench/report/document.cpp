#include "bench/report/document.hpp"

#include <sys/utsname.h>

#include <array>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <sodium.h>

#include "outcome.hpp"

namespace pumice::report {
namespace {

using Json = nlohmann::ordered_json;

std::string value_in(const char* file, const std::string& key) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);)
        if (line.rfind(key, 0) == 0)
            if (const std::size_t colon = line.find(':'); colon != std::string::npos)
                if (const std::size_t begin = line.find_first_not_of(" \t", colon + 1); begin != std::string::npos)
                    return line.substr(begin);
    return {};
}

Json host_json() {
    utsname names{};
    const bool known = uname(&names) == 0;
    const std::string memory = value_in("/proc/meminfo", "MemTotal");
    std::uint64_t kibibytes = 0;
    std::istringstream(memory) >> kibibytes;
    return {{"processor", value_in("/proc/cpuinfo", "model name")},
            {"threads", std::thread::hardware_concurrency()},
            {"memory", kibibytes * 1024},
            {"system", known ? fmt::format("{} {} {}", names.sysname, names.release, names.machine) : ""}};
}

std::string now_text() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

Failure not_a_report(const std::string& file, const std::string& why) {
    return {PUMICE_BAD_FORMAT, fmt::format("{}: {}; write it again with pumice bench --json", file, why)};
}

/// What was done, without how long it took.
Json work_of(const Json& report) {
    Json work = Json::array();
    for (const Json& r : report["results"])
        work.push_back({r.value("name", ""), r.value("kind", ""), r.value("width", 0), r.value("height", 0),
                        r.value("steps", 0), r.value("batch", 0)});
    return work;
}

}  // namespace

std::string content_hash(const Json& report) {
    nlohmann::json content = report;
    content.erase("hash");
    const std::string text = content.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
    crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
    std::string digits;
    for (const unsigned char byte : digest) digits += fmt::format("{:02x}", byte);
    return digits;
}

Json finish(Json measured) {
    const pumice_version version = pumice::version();
    Json report = {{"schema", kSchema},
                   {"hash", ""},
                   {"created", now_text()},
                   {"pumice", {{"version", version.text}, {"commit", version.commit}, {"compiler", version.compiler}}},
                   {"host", host_json()}};
    for (auto& [key, value] : measured.items()) report[key] = std::move(value);
    report["hash"] = content_hash(report);
    return report;
}

Expected<Json> read_report(const std::filesystem::path& file) {
    const std::string name = file.string();
    std::error_code error;
    if (!std::filesystem::exists(file, error)) return Failure{PUMICE_NOT_FOUND, fmt::format("{}: no such file", name)};
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    if (!in || !(text << in.rdbuf())) return Failure{PUMICE_IO, fmt::format("{}: cannot be read", name)};
    Json report = Json::parse(text.str(), nullptr, false);
    if (!report.is_object() || !report.contains("schema") || !report["schema"].is_string())
        return not_a_report(name, "is no report of pumice bench");
    if (report["schema"] != kSchema)
        return Failure{PUMICE_UNSUPPORTED, fmt::format("{}: is of schema {}, this version reads {}; measure again", name,
                                                       report["schema"].get<std::string>().substr(0, 40), kSchema)};
    if (!report.contains("hash") || report["hash"] != content_hash(report))
        return not_a_report(name, "does not match its hash: it was changed or damaged");
    for (const char* member : {"device", "peaks", "weights"})
        if (!report.contains(member) || !report[member].is_object())
            return not_a_report(name, fmt::format("has no {}", member));
    if (!report.contains("results") || !report["results"].is_array()) return not_a_report(name, "has no results");
    return report;
}

Expected<void> check_comparable(const std::vector<Json>& reports, const std::vector<std::string>& names) {
    for (std::size_t i = 1; i < reports.size(); ++i) {
        if (work_of(reports[i]) != work_of(reports[0]))
            return Failure{PUMICE_INVALID_ARGUMENT,
                           fmt::format("{} and {} are of different profiles; measure both with the same options",
                                       names[0], names[i])};
        if (reports[i]["weights"] != reports[0]["weights"])
            return Failure{PUMICE_INVALID_ARGUMENT,
                           fmt::format("{} and {} were measured with different weights", names[0], names[i])};
    }
    return {};
}

}  // namespace pumice::report
