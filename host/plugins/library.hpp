// A plugin's shared library: loaded, its entry checked, and asked what it holds.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include <boost/dll/shared_library.hpp>

#include "base/result.hpp"
#include "plugins/description.hpp"
#include "pumice/sdk/entry.h"
#include "pumice/sdk/ext/control.h"
#include "pumice/sdk/ext/guidance.h"
#include "pumice/sdk/ext/image_filter.h"
#include "pumice/sdk/ext/math.h"
#include "pumice/sdk/ext/preprocessor.h"
#include "pumice/sdk/ext/sampler.h"
#include "pumice/sdk/ext/schedule.h"
#include "pumice/sdk/ext/upscaler.h"
#include "pumice/sdk/plugin.h"

namespace pumice::plugins {

/// Runs a plugin's code, which gives a status or (a bug of it) throws; what it throws becomes PUMICE_SDK_INTERNAL and
/// `thrown` says what. The plugin must have been built with the host's C++ runtime for an exception to arrive here.
template <class Call>
pumice_sdk_status call_plugin(std::string& thrown, Call&& call) {
    try {
        return call();
    } catch (const std::exception& e) {
        thrown = std::string("it threw an exception: ") + e.what();
    } catch (...) {
        thrown = "it threw an exception";
    }
    return PUMICE_SDK_INTERNAL;
}

class Library {
public:
    /// Loads the file, checks the entry and calls its init. Code::bad_format for what is no plugin of this ABI, with one
    /// line that says why; what init gives.
    static Result<std::shared_ptr<Library>> open(const std::filesystem::path&);
    /// Calls deinit. No instance may be left.
    ~Library();
    Library(const Library&) = delete;

    const pumice_plugin_factory_1& factory() const { return *factory_; }
    const std::filesystem::path& path() const { return path_; }
    /// Of the entry, for any id.
    const void* get_factory(const char* id) const { return entry_->get_factory(id); }
    /// deinit and init again, which plugins must bear; what open gives. No instance may be left.
    Status restart();

private:
    Library() = default;
    Status begin(const pumice_plugin_entry_1&);
    void end();
    std::filesystem::path path_;
    boost::dll::shared_library library_;
    const pumice_plugin_entry_1* entry_ = nullptr;
    const pumice_plugin_factory_1* factory_ = nullptr;
};

/// An instance of a plugin of a library.
class Instance {
public:
    /// Creates and initializes. The host struct outlives this.
    static Result<Instance> create(std::shared_ptr<Library>, std::uint32_t index, const pumice_host*);
    ~Instance();
    Instance(Instance&& other) noexcept
        : library_(std::move(other.library_)), plugin_(std::exchange(other.plugin_, nullptr)) {}
    Instance& operator=(Instance&&) = delete;

    pumice_plugin* plugin() const { return plugin_; }
    /// nullptr when the plugin has none.
    const pumice_sampler_1* sampler() const;
    const pumice_schedule_1* schedule() const;
    const pumice_guidance_1* guidance() const;
    const pumice_control_1* control() const;
    const pumice_upscaler_1* upscaler() const;
    const pumice_preprocessor_1* preprocessor() const;
    const pumice_image_filter_1* image_filter() const;

private:
    Instance(std::shared_ptr<Library> library, pumice_plugin* plugin)
        : library_(std::move(library)), plugin_(plugin) {}
    std::shared_ptr<Library> library_;
    pumice_plugin* plugin_;
};

/// Everything that can be asked of a library without running a picture: each plugin's descriptor, an instance of it, its
/// extensions and all they describe, checked against what the SDK's headers say. Code::bad_format names what is wrong.
Result<std::vector<Description>> examine(const std::shared_ptr<Library>&);

/// What pumice.math/1 is.
const pumice_host_math_1& host_math();

/// A host that offers no device: pumice.math/1, pumice.log/1 (silent), and set_error into `error`.
struct BareHost {
    BareHost();
    BareHost(const BareHost&) = delete;
    pumice_host host;
    std::string error;
};

/// The error of a plugin's function: its own text if it gave one, else the status' meaning.
Error plugin_error(pumice_sdk_status status, const std::string& said, const std::string& thrown,
                   const std::string& doing);
/// A status that plugins have as a code; Code::internal for a number that is none.
Code code_of(pumice_sdk_status);

}  // namespace pumice::plugins
