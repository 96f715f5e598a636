// pumice_goldens DIR: holds the engine against numbers from independent reference implementations.
#include <functional>
#include <map>
#include <string>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "suite.hpp"

int main(int argc, char** argv) {
    using namespace pumice;
    using namespace pumice::goldens;
    CLI::App app{"Compares every stage of the engine with golden data and prints one line a case."};
    Suite::Options options;
    std::string precision = "fp32";
    app.add_option("DIR", options.folder, "Folder with manifest.json")->required()->check(CLI::ExistingDirectory);
    app.add_option("--only", options.only, "FOLDER or FOLDER/CASE");
    app.add_option("--device", options.device, "Index, part of the name, or UUID (default: the best)");
    app.add_option("--precision", precision, "exact, fp32 or fp16")
        ->check(CLI::IsMember({"exact", "fp32", "fp16"}))
        ->capture_default_str();
    app.add_flag("--validation", options.validation, "Run under Vulkan's validation layer; a message is a failure");
    CLI11_PARSE(app, argc, argv);
    options.precision = precision == "exact"  ? Precision::exact
                        : precision == "fp16" ? Precision::fp16
                                              : Precision::fp32;

    Suite suite(options);
    const std::map<std::string, std::function<void(Suite&)>> sections{
        {"tokenizer", tokenizer_cases}, {"prompt", prompt_cases}, {"rng", rng_cases}, {"schedule", schedule_cases},
        {"sampler", sampler_cases}, {"text", text_cases}, {"control", control_cases}, {"lora", lora_cases}, {"ti", ti_cases}, {"e2e", e2e_cases},
        {"upscale", upscale_cases},
        {"sd1", [](Suite& s) { model_cases(s, "sd1"); }},
        {"sd2", [](Suite& s) { model_cases(s, "sd2"); }},
        {"sdxl", [](Suite& s) { model_cases(s, "sdxl"); }}};
    const std::string folder = options.only.substr(0, options.only.find('/'));
    for (const auto& [name, section] : sections)
        if (folder.empty() || folder == name) section(suite);
    return suite.finish();
}
