#include "suite.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

#include <fmt/core.h>

namespace pumice::goldens {
namespace {

/// "sd1/unet_0.x.npy" → "sd1/unet_0".
std::string case_of(const std::string& file) {
    const auto slash = file.rfind('/');
    return file.substr(0, file.find('.', slash == std::string::npos ? 0 : slash));
}

struct Difference {
    double largest = 0, rms = 0, deviation = 0;  ///< deviation: standard deviation of the reference
    bool finite = true;
};

Difference difference(std::span<const float> got, std::span<const float> expected) {
    Difference d;
    double squares = 0, mean = 0, spread = 0;
    const auto n = static_cast<double>(expected.size());
    for (const float v : expected) mean += v / n;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (!std::isfinite(got[i])) d.finite = false;
        const double e = std::abs(double(got[i]) - double(expected[i]));
        d.largest = std::max(d.largest, e);
        squares += e * e;
        spread += (expected[i] - mean) * (expected[i] - mean);
    }
    d.rms = std::sqrt(squares / n);
    d.deviation = std::sqrt(spread / n);
    return d;
}

}  // namespace

Suite::Suite(Options options) : options_(std::move(options)) {
    std::ifstream in(path("manifest.json"));
    manifest_ = nlohmann::json::parse(in, nullptr, false);
}

std::vector<std::string> Suite::files(const std::string& folder) const {
    std::vector<std::string> names;
    std::error_code missing;
    for (const auto& entry : std::filesystem::directory_iterator(path(folder), missing))
        names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

std::string Suite::description(const std::string& file) const {
    const auto at = nlohmann::json::json_pointer("/files");
    if (!manifest_.contains(at) || !manifest_[at].contains(file)) return {};
    return manifest_[at][file].value("desc", "");
}

bool Suite::wanted(const std::string& name) {
    known_.insert(name);
    const std::string& only = options_.only;
    return only.empty() || name == only || name.starts_with(only + "/") || name.starts_with(only + ".");
}

void Suite::report(const std::string& name, double error, double tolerance, const std::string& detail) {
    const bool pass = error <= tolerance;  // false for NaN
    fmt::print("{:<44} error {:9.2e}  tolerance {:8.1e}  {}{}{}\n", name, error, tolerance, pass ? "pass" : "FAIL",
               detail.empty() ? "" : "  ", detail);
    ++(pass ? passed_ : failed_);
}

void Suite::exact(const std::string& name, bool equal, const std::string& detail) {
    fmt::print("{:<44} {:<33}  {}{}{}\n", name, "exact", equal ? "pass" : "FAIL", detail.empty() ? "" : "  ", detail);
    ++(equal ? passed_ : failed_);
}

void Suite::failed(const std::string& name, const Error& error) {
    fmt::print("{:<44} FAIL  {}\n", name, error.message);
    ++failed_;
}

void Suite::run(const std::string& name, const std::function<Status()>& check) {
    if (const Status status = check(); !status) failed(name, status.error());
}

void Suite::compare(const std::string& name, std::span<const float> got, std::span<const float> expected,
                    Tolerance tolerance) {
    if (got.size() != expected.size())
        return failed(name, {Code::internal, fmt::format("{} values, expected {}", got.size(), expected.size())});
    const double scale = tolerance.absolute > 0 ? tolerance.absolute : tolerance.relative;
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double e = std::abs(double(got[i]) - double(expected[i]));
        const double allowed = tolerance.absolute + tolerance.relative * std::abs(double(expected[i]));
        const double ratio = e == 0 ? 0 : e / allowed;
        if (!(ratio <= worst)) worst = ratio;  // NaN stays
        if (std::isnan(worst)) break;
    }
    report(name, worst * scale, scale);
}

void Suite::compare_network(const std::string& name, std::span<const float> got, std::span<const float> expected) {
    if (got.size() != expected.size())
        return failed(name, {Code::internal, fmt::format("{} values, expected {}", got.size(), expected.size())});
    const Difference d = difference(got, expected);
    if (!d.finite) return failed(name, {Code::not_finite, "NaN or infinity"});
    if (options_.precision != Precision::fp16) return report(name, d.largest, 1e-4);
    constexpr double kShare = 0.02;
    const bool tail = d.largest <= 5 * kShare * d.deviation;
    report(name, tail ? d.rms : d.largest, kShare * d.deviation,
           fmt::format("(rms; largest {:.1e}, deviation {:.2g})", d.largest, d.deviation));
}

Result<nlohmann::json> Suite::json(const std::string& file) const {
    std::ifstream in(path(file));
    if (!in) return Error{Code::not_found, "cannot open " + path(file).string()};
    nlohmann::json parsed = nlohmann::json::parse(in, nullptr, false);
    if (parsed.is_discarded()) return Error{Code::bad_format, path(file).string() + " is not JSON"};
    return parsed;
}

Result<std::shared_ptr<Device>> Suite::device() {
    if (device_) return device_;
    InstanceOptions instance_options;
    instance_options.validation = options_.validation;
    instance_options.on_validation_message = [this](const std::string& message) {
        fmt::print("validation: {}\n", message);
        ++messages_;
    };
    PUMICE_ASSIGN(instance_, Instance::create(instance_options));
    DeviceOptions device_options;
    device_options.wanted = options_.device;
    PUMICE_ASSIGN(device_, Device::create(instance_, device_options));
    fmt::print("device: {} ({})\n", device_->caps().name, device_->caps().driver_info);
    return device_;
}

Result<std::shared_ptr<KernelCache>> Suite::kernels() {
    if (!kernels_) {
        PUMICE_ASSIGN(auto made, device());
        kernels_ = std::make_shared<KernelCache>(made);
    }
    return kernels_;
}

Result<std::shared_ptr<plugins::Registry>> Suite::plugins(const std::string& family) {
    auto& made = plugins_[family];
    if (!made) {
        plugins::RegistryOptions options;
        options.builtin = PUMICE_BUILTIN_PLUGINS;
        options.family = family;
        PUMICE_ASSIGN(made, plugins::Registry::create(std::move(options)));
    }
    return made;
}

int Suite::finish() {
    std::set<std::string> unknown;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(options_.folder)) {
        if (!entry.is_regular_file()) continue;
        const std::string file = std::filesystem::relative(entry.path(), options_.folder).generic_string();
        if (file.find('/') == std::string::npos) continue;  // README, manifest
        const std::string name = case_of(file);
        const bool asked = options_.only.empty() || name.starts_with(options_.only);
        if (asked && !known_.contains(name)) unknown.insert(name);
    }
    for (const std::string& name : unknown) fmt::print("{:<44} unsupported\n", name);
    unsupported_ = unknown.size();
    if (options_.validation) fmt::print("{} validation messages\n", messages_.load());
    fmt::print("{} passed, {} failed, {} unsupported\n", passed_, failed_, unsupported_);
    return failed_ == 0 && passed_ > 0 && messages_ == 0 ? 0 : 1;
}

}  // namespace pumice::goldens
