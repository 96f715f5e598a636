// The checks of a plugin: what it is checked with, and the tables of checks.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "plugins/description.hpp"
#include "plugins/device_session.hpp"
#include "plugins/library.hpp"
#include "plugins/params.hpp"

namespace pumice::verify {

/// What a check came to: "" when it passed, else why not, one line.
using Why = std::string;

/// `PUMICE_VERIFY_ASSIGN(auto x, f());` declares x from a Result, or returns its error's message as what is wrong.
#define PUMICE_VERIFY_ASSIGN(decl, expr)                                                                          \
    auto PUMICE_CONCAT(pumice_result_, __LINE__) = (expr);                                                        \
    if (!PUMICE_CONCAT(pumice_result_, __LINE__)) return PUMICE_CONCAT(pumice_result_, __LINE__).error().message; \
    decl = *std::move(PUMICE_CONCAT(pumice_result_, __LINE__))

struct Check {
    std::string name;  ///< "sampler my_euler: ends at once when it is cancelled"
    std::function<Why()> run;
    std::function<Why()> not_run = {};  ///< what it lacks here; "": nothing, as where this is empty
};
using Checks = std::vector<Check>;

/// A file that the author named: a method's model ("esrgan"), or a parameter of a method ("pose.keypoints").
struct GivenFile {
    std::string name, file;
};

/// A library that loaded and described itself.
struct Subject {
    std::filesystem::path file;
    std::shared_ptr<plugins::Library> library;
    std::vector<plugins::Description> plugins;
    std::filesystem::path folder;  ///< for what the checks write
    std::vector<GivenFile> given;
    plugins::DeviceServices device;  ///< device.device is null where there is none
    std::string no_device;           ///< why
    const GivenFile* find(const std::string& name) const;
};

/// What the validation layer says, on any thread.
class Complaints {
public:
    void add(const std::string& message);
    /// "" if there was none.
    std::string first() const;

private:
    mutable std::mutex mutex_;
    std::string first_;
};

/// Opens the Vulkan device that is wanted (see Instance::choose; "none": none), with the validation layer if it is
/// installed.
void open_device(Subject&, const std::string& wanted, std::shared_ptr<Complaints>);

/// A plugin of it.
struct Plugin {
    const Subject& subject;
    std::uint32_t index;
    const plugins::Description& description() const { return subject.plugins[index]; }
};

/// What the process was before the plugin came into it.
class ProcessState {
public:
    ProcessState();
    /// What is no longer so.
    Why changed() const;
    /// From here on a driver is in the process: the handlers it has set are its own, and it starts threads and opens
    /// files when it likes, which therefore no longer count.
    void expect_driver();

private:
    std::vector<void (*)(int)> handlers_;
    std::string locale_, folder_;
    std::size_t threads_, files_;
};

/// Of any plugin.
Checks library_checks(const Subject&);
Checks plugin_checks(const Plugin&);

/// Of what has an extension. To check another kind, write its checks in a file of their own and add a line to kKinds.
Checks sampler_checks(const Plugin&);
Checks schedule_checks(const Plugin&);
Checks guidance_checks(const Plugin&);
Checks control_checks(const Plugin&);
Checks upscaler_checks(const Plugin&);
Checks preprocessor_checks(const Plugin&);
Checks image_filter_checks(const Plugin&);

struct Kind {
    const char* extension;
    Checks (*checks)(const Plugin&);
    bool on_device;  ///< its host has a device, if there is one
};
inline constexpr Kind kKinds[] = {
    {PUMICE_SAMPLER_1, sampler_checks, false},          {PUMICE_SCHEDULE_1, schedule_checks, false},
    {PUMICE_GUIDANCE_1, guidance_checks, false},        {PUMICE_CONTROL_1, control_checks, true},
    {PUMICE_UPSCALER_1, upscaler_checks, true},         {PUMICE_PREPROCESSOR_1, preprocessor_checks, true},
    {PUMICE_IMAGE_FILTER_1, image_filter_checks, true},
};

/// The symbols that a library exports, of the one that is loaded from this file; its own and no others'.
Result<std::vector<std::string>> exported_symbols(const std::filesystem::path&);

/// Values of a method's parameters to try: the defaults first, then each parameter at both ends of its range (each of
/// its choices), the others as by default. `what` names it: "s_churn=100", "" for the defaults.
struct Trial {
    std::string what;
    std::vector<plugins::ParamValue> values;
};
std::vector<Trial> trials(const plugins::Method&);

}  // namespace pumice::verify
