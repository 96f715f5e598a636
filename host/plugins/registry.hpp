// The plugins of this machine: where they lie, which of them are used, and the samplers and schedules they bring.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"
#include "diffusion/guidance.hpp"
#include "diffusion/sampler.hpp"
#include "plugins/library.hpp"
#include "plugins/params.hpp"
#include "plugins/plugin_method.hpp"
#include "plugins/store.hpp"

namespace pumice::plugins {

struct Place {
    std::string name;  ///< "user", "PUMICE_PLUGIN_PATH", … in lists
    std::filesystem::path folder;
};

struct RegistryOptions {
    /// Folders of plugins that come with Pumice: trusted, so not tried out, and never left out.
    std::filesystem::path builtin;
    /// Searched before it, the first first: of two plugins of one id, and of two samplers of one name, the first
    /// counts.
    std::vector<Place> places;
    std::filesystem::path state_folder;  ///< verdicts, what is off, marks of what runs; empty: nothing is kept
    std::filesystem::path probe;         ///< the program that tries plugins out; empty: they are taken as they are
    double probe_seconds = 10;
    bool safe_mode = false;    ///< the built-in ones alone
    bool probe_again = false;  ///< whatever the verdicts say
    std::string family = "sd1";
    Log log;
};

/// A plugin found, used or not.
struct Found {
    enum class State : std::uint8_t { on, off, crashed, broken, hidden, left_out } state = State::on;
    std::filesystem::path file;
    std::string place;
    bool builtin = false;
    Description description;  ///< of a broken one: the file's name as id, and nothing else
    std::uint32_t index = 0;  ///< in its library
    std::string reason;       ///< why it is not used, or what else there is to say; one line or empty
};

/// "on", "off", "crashed", "broken", "hidden", "left out".
const char* to_string(Found::State);

class Registry : public std::enable_shared_from_this<Registry> {
public:
    /// Looks through the places. A library that is broken is listed so; it is no error. Code::not_found when the
    /// built-in plugins are not where they should be.
    static Result<std::shared_ptr<Registry>> create(RegistryOptions);

    const std::vector<Found>& plugins() const { return plugins_; }
    /// Whose code ran when an earlier process of this user ended, found at this start: ids.
    const std::vector<std::string>& crashed() const { return crashed_; }
    /// Those of the built-in plugins first; a name occurs once.
    const std::vector<std::string>& sampler_names() const { return sampler_names_; }
    const std::vector<std::string>& schedule_names() const { return schedule_names_; }
    const std::vector<std::string>& guidance_names() const { return guidance_names_; }
    const std::vector<std::string>& control_names() const { return control_names_; }
    const std::vector<std::string>& upscaler_names() const { return upscaler_names_; }
    const std::vector<std::string>& preprocessor_names() const { return preprocessor_names_; }
    const std::vector<std::string>& image_filter_names() const { return image_filter_names_; }
    /// Where marks of what runs are kept; empty: nowhere.
    const std::filesystem::path& marker_folder() const { return options_.state_folder; }

    /// For the next start. Code::not_found for an id that no plugin has; Code::invalid_argument for a built-in one;
    /// Code::io.
    Status set_enabled(const std::string& id, bool enabled);

    /// A sampler with its schedule and parameters ("sampler.eta=0.5"), for one request. Loads the library when it is
    /// first needed. `family` is the model's, of which a schedule may have levels of its own; empty: that of the options.
    /// Code::not_found lists the names; Code::invalid_argument names the parameter; what loading gives.
    Result<std::unique_ptr<Sampler>> make_sampler(const std::string& sampler, const std::string& schedule,
                                                  std::span<const std::string> params, Log log,
                                                  const std::string& family = {});
    /// A method of guidance with its parameters ("guidance.phi=0.7"), for one request. Errors as make_sampler.
    Result<std::unique_ptr<Guidance>> make_guidance(const std::string& guidance, std::span<const std::string> params,
                                                    Log log);
    /// A schedule's levels alone. Errors as make_sampler.
    Result<std::vector<float>> make_sigmas(const std::string& schedule, std::span<const std::string> params,
                                           const SigmaTable&, std::uint32_t steps);

    /// One of any kind with its parameters ("upscaler.tile=256"), its library loaded. Errors as make_sampler.
    Result<PluginMethod> make_method(const Kind& kind, const std::string& name, std::span<const std::string> params);

    /// Everything above as JSON, for people and programs.
    nlohmann::ordered_json json() const;

private:
    friend class PluginSampler;
    explicit Registry(RegistryOptions options) : options_(std::move(options)), store_(options_.state_folder) {}

    /// A sampler or schedule: which plugin, which of it.
    struct Use {
        std::size_t plugin = 0;
        std::uint32_t index = 0;
    };
    Status look();
    void look_in(const Place& place);
    Status add_builtin();
    void add(const std::filesystem::path& file, const Place& place, bool builtin, const Verdict& verdict);
    Verdict try_out(const std::filesystem::path& file);
    void take_marks();
    void decide();
    void gather_names();
    /// Without values for its parameters and without its library.
    PluginMethod method_of(const Kind& kind, const Use& use) const;
    const Method& sampler_of(const Use& use) const { return plugins_[use.plugin].description.samplers[use.index]; }
    /// By name, the first plugin first.
    std::optional<Use> find(const Kind& kind, std::string_view name) const;
    /// `beside`: looked for in this plugin first.
    std::optional<Use> find_schedule(std::string_view name, std::optional<std::size_t> beside, bool internal) const;
    Result<std::shared_ptr<Library>> library_of(std::size_t plugin);

    RegistryOptions options_;
    Store store_;
    std::vector<Found> plugins_;
    std::vector<std::string> crashed_, sampler_names_, schedule_names_, guidance_names_, control_names_, upscaler_names_,
        preprocessor_names_, image_filter_names_;
    std::mutex mutex_;  ///< of libraries_
    std::map<std::filesystem::path, std::shared_ptr<Library>> libraries_;
};

/// Where the plugins and the programs lie that come with the library or program this code is in: PREFIX/lib/pumice,
/// or the build tree's.
struct InstalledParts {
    std::filesystem::path plugins, probe, verify;
};
InstalledParts installed_parts();

}  // namespace pumice::plugins
