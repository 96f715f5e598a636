// The checks of a plugin: what it is checked with, and the tables of checks.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "plugins/description.hpp"
#include "plugins/library.hpp"
#include "plugins/params.hpp"

namespace pumice::verify {

/// What a check came to: "" when it passed, else why not, one line.
using Why = std::string;

/// `PUMICE_VERIFY_ASSIGN(auto x, f());` declares x from a Result, or returns its error's message as what is wrong.
#define PUMICE_VERIFY_ASSIGN(decl, expr)                                                                      \
    auto PUMICE_CONCAT(pumice_result_, __LINE__) = (expr);                                                    \
    if (!PUMICE_CONCAT(pumice_result_, __LINE__)) return PUMICE_CONCAT(pumice_result_, __LINE__).error().message; \
    decl = *std::move(PUMICE_CONCAT(pumice_result_, __LINE__))

struct Check {
    std::string name;  ///< "sampler my_euler: ends at once when it is cancelled"
    std::function<Why()> run;
};
using Checks = std::vector<Check>;

/// A library that loaded and described itself.
struct Subject {
    std::filesystem::path file;
    std::shared_ptr<plugins::Library> library;
    std::vector<plugins::Description> plugins;
};

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

struct Kind {
    const char* extension;
    Checks (*checks)(const Plugin&);
};
inline constexpr Kind kKinds[] = {
    {PUMICE_SAMPLER_1, sampler_checks},
    {PUMICE_SCHEDULE_1, schedule_checks},
    {PUMICE_GUIDANCE_1, guidance_checks},
};

/// The symbols that a library exports, of the one that is loaded from this file; its own and no others'.
Result<std::vector<std::string>> exported_symbols(const std::filesystem::path&);

/// Values of a method's parameters to try: the defaults first, then each parameter at both ends of its range (each of its
/// choices), the others as by default. `what` names it: "s_churn=100", "" for the defaults.
struct Trial {
    std::string what;
    std::vector<plugins::ParamValue> values;
};
std::vector<Trial> trials(const plugins::Method&);

}  // namespace pumice::verify
