// What the sections of pumice_goldens share: the folder, what was asked for, and the count of results.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/precision.hpp"
#include "base/result.hpp"
#include "kernels/kernel.hpp"
#include "npy.hpp"
#include "plugins/registry.hpp"
#include "vulkan/device.hpp"

namespace pumice::goldens {

/// How far a value may be from the reference: absolute + relative * |reference|.
struct Tolerance {
    double absolute = 0, relative = 0;
};

class Suite {
public:
    struct Options {
        std::filesystem::path folder;
        std::string only;        ///< FOLDER or FOLDER/CASE; empty: all
        std::string device;      ///< see Instance::choose
        Precision precision = Precision::fp32;
        bool validation = false; ///< any message of Vulkan's validation layer is a failure
    };
    explicit Suite(Options options);

    const Options& options() const { return options_; }
    std::filesystem::path path(const std::string& file) const { return options_.folder / file; }
    bool exists(const std::string& file) const { return std::filesystem::exists(path(file)); }
    /// Names of the files of a folder, sorted, without the folder.
    std::vector<std::string> files(const std::string& folder) const;
    /// The manifest's description of a file, or empty.
    std::string description(const std::string& file) const;

    /// Whether `name` ("sd1/unet_0") is asked for; marks its files as known either way.
    bool wanted(const std::string& name);
    /// Marks the files of a case, which another case only uses, as known.
    void helper(const std::string& name) { known_.insert(name); }

    /// Prints a line and counts. In fp16 the float tolerances of networks give way: see network_tolerance.
    void report(const std::string& name, double error, double tolerance, const std::string& detail = {});
    void exact(const std::string& name, bool equal, const std::string& detail = {});
    void failed(const std::string& name, const Error& error);
    /// Runs `check`, counting an error it returns as a failure of `name`.
    void run(const std::string& name, const std::function<Status()>& check);

    /// max over i of |a - b| / (absolute + relative * |b|), times the absolute tolerance if there is one: reported as
    /// the error, against that tolerance.
    void compare(const std::string& name, std::span<const float> got, std::span<const float> expected, Tolerance);
    /// For networks: 1e-4 in fp32 and exact; in fp16 2 % of the expected output's standard deviation, as root mean
    /// square and, five times that, as the largest difference.
    void compare_network(const std::string& name, std::span<const float> got, std::span<const float> expected);

    /// Lists every file of the folder that no section knows, and prints the totals. The exit status of the program.
    int finish();

    Result<Npy<float>> npy(const std::string& file) const { return read_npy<float>(path(file)); }
    Result<nlohmann::json> json(const std::string& file) const;

    /// The device, made when first asked for.
    Result<std::shared_ptr<Device>> device();
    Result<std::shared_ptr<KernelCache>> kernels();
    /// The plugins of this build: samplers and schedules are theirs.
    Result<std::shared_ptr<plugins::Registry>> plugins(const std::string& family = "sd1");

private:
    Options options_;
    nlohmann::json manifest_;
    std::set<std::string> known_;
    std::size_t passed_ = 0, failed_ = 0, unsupported_ = 0;
    std::atomic<std::size_t> messages_{0};
    std::shared_ptr<Instance> instance_;
    std::shared_ptr<Device> device_;
    std::shared_ptr<KernelCache> kernels_;
    std::map<std::string, std::shared_ptr<plugins::Registry>> plugins_;
};

// One function a folder of the goldens.
void tokenizer_cases(Suite&);
void prompt_cases(Suite&);
void rng_cases(Suite&);
void schedule_cases(Suite&);
void sampler_cases(Suite&);
void text_cases(Suite&);
/// "sd1", "sd2" or "sdxl": the networks of a family.
void model_cases(Suite&, const std::string& family);
void control_cases(Suite&);
void lora_cases(Suite&);
void ti_cases(Suite&);
void e2e_cases(Suite&);
void upscale_cases(Suite&);

}  // namespace pumice::goldens
