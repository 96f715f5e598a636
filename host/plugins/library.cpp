#include "plugins/library.hpp"

#include <dlfcn.h>

#include <cstring>
#include <system_error>

#include <boost/system/error_code.hpp>

#include <fmt/format.h>

#include "base/exact_math.hpp"
#include "plugins/check.hpp"
#include "pumice/sdk/ext/log.h"
#include "pumice/sdk/ext/math.h"

namespace pumice::plugins {
namespace {

Error broken(const std::string& what) {
    return {Code::bad_format, what};
}

const pumice_host_log_1 kSilentLog = {sizeof(pumice_host_log_1), 0,
                                      [](const pumice_host*, std::int32_t, const char*) {}};

/// The checks of an entry, before its functions are trusted.
Status check_entry(const pumice_plugin_entry_1& entry) {
    if (entry.abi_major != PUMICE_SDK_ABI_MAJOR)
        return Error{Code::unsupported, fmt::format("it was built for plugin ABI {}.{}, this is {}.{}", entry.abi_major,
                                                    entry.abi_minor, PUMICE_SDK_ABI_MAJOR, PUMICE_SDK_ABI_MINOR)};
    if (entry.struct_size < sizeof(entry))
        return broken(fmt::format("its entry has a size of {} bytes, not {}", entry.struct_size, sizeof(entry)));
    if (!entry.init || !entry.deinit || !entry.get_factory) return broken("its entry lacks a function");
    return {};
}

Status check_factory(const pumice_plugin_factory_1& factory) {
    if (factory.struct_size < sizeof(factory)) return broken("its factory has a wrong size");
    if (!factory.count || !factory.descriptor || !factory.create) return broken("its factory lacks a function");
    return {};
}

Status check_plugin(const pumice_plugin* plugin, const pumice_plugin_descriptor* descriptor) {
    if (!plugin) return broken("create gave no plugin");
    if (plugin->struct_size < sizeof(*plugin)) return broken("its plugin struct has a wrong size");
    if (!plugin->init || !plugin->destroy || !plugin->get_extension)
        return broken("its plugin struct lacks a function");
    if (plugin->descriptor != descriptor) return broken("its plugin struct has another descriptor");
    return {};
}

/// The first line of what the loader says, without the path that the message has elsewhere.
std::string loader_reason(const std::string& what, const std::filesystem::path& path) {
    std::string reason = what.substr(0, what.find('\n'));
    for (const std::string& name : {path.string() + ": ", path.string()})
        for (std::size_t at; (at = reason.find(name)) != std::string::npos;) reason.erase(at, name.size());
    return reason;
}

/// From here on the code stays where it is until the process ends: a plugin that lets go of its own library while it is
/// used, or leaves a thread behind, would otherwise run in memory that is no longer there. A new version of the file is
/// another file to the loader.
void keep_mapped(const std::filesystem::path& path) {
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    if (handle) ::dlclose(handle);
}

}  // namespace

Code code_of(pumice_sdk_status status) {
    if (status < PUMICE_SDK_INTERNAL || status > PUMICE_SDK_NOT_FINITE) return Code::internal;
    return static_cast<Code>(status - 1);
}
static_assert(static_cast<int>(Code::not_finite) + 1 == PUMICE_SDK_NOT_FINITE);
static_assert(static_cast<int>(Code::missing_feature) + 1 == PUMICE_SDK_MISSING_FEATURE);

Error plugin_error(pumice_sdk_status status, const std::string& said, const std::string& thrown,
                   const std::string& doing) {
    if (!thrown.empty()) return {Code::internal, fmt::format("{}: {}", doing, thrown)};
    if (!said.empty()) return {code_of(status), fmt::format("{}: {}", doing, said)};
    return {code_of(status), fmt::format("{}: it gave status {} and no reason", doing, status)};
}

const pumice_host_math_1& host_math() {
    static constexpr pumice_host_math_1 kMath = {sizeof(pumice_host_math_1), 0,           exact::exp, exact::expm1,
                                                 exact::log,                 exact::pow, exact::sin, exact::cos,
                                                 exact::acos};
    return kMath;
}

BareHost::BareHost()
    : host{sizeof(pumice_host),
           PUMICE_SDK_ABI_MAJOR,
           PUMICE_SDK_ABI_MINOR,
           0,
           "pumice",
           PUMICE_VERSION_TEXT,
           this,
           [](const pumice_host*, const char* id) -> const void* {
               if (!id) return nullptr;
               if (std::strcmp(id, PUMICE_HOST_MATH_1) == 0) return &host_math();
               if (std::strcmp(id, PUMICE_HOST_LOG_1) == 0) return &kSilentLog;
               return nullptr;
           },
           [](const pumice_host* from, const char* message) {
               static_cast<BareHost*>(from->data)->error = message ? one_line(message) : "";
           }} {}

Result<std::shared_ptr<Library>> Library::open(const std::filesystem::path& path) {
    std::shared_ptr<Library> made(new Library);
    made->path_ = path;
    const pumice_plugin_entry_1* entry = nullptr;
    try {
        // Its own symbols stay its own (no rtld_global), and all it needs must be there now (rtld_now).
        made->library_.load(boost::dll::fs::path(path.string()), boost::dll::load_mode::rtld_now);
        if (!made->library_.has("pumice_plugin_entry"))
            return broken("it exports no pumice_plugin_entry");
        entry = &made->library_.get<const pumice_plugin_entry_1>("pumice_plugin_entry");
    } catch (const std::exception& e) {
        return broken(fmt::format("it cannot be loaded: {}", loader_reason(e.what(), path)));
    }
    PUMICE_TRY(check_entry(*entry));
    keep_mapped(path);
    PUMICE_TRY(made->begin(*entry));
    return made;
}

Status Library::begin(const pumice_plugin_entry_1& entry) {
    std::string reason;
    const std::string text = path_.string();
    const pumice_sdk_status status = call_plugin(reason, [&] { return entry.init(text.c_str()); });
    if (status != PUMICE_SDK_OK) return plugin_error(status, "", reason, "its init failed");
    entry_ = &entry;
    const void* factory = nullptr;
    call_plugin(reason, [&] {
        factory = entry.get_factory(PUMICE_PLUGIN_FACTORY_1);
        return PUMICE_SDK_OK;
    });
    if (!reason.empty()) return broken("get_factory: " + reason);
    if (!factory) return broken(fmt::format("it has no {}", PUMICE_PLUGIN_FACTORY_1));
    factory_ = static_cast<const pumice_plugin_factory_1*>(factory);
    return check_factory(*factory_);
}

void Library::end() {
    const pumice_plugin_entry_1* entry = std::exchange(entry_, nullptr);
    std::string thrown;
    if (entry)
        call_plugin(thrown, [&] {
            entry->deinit();
            return PUMICE_SDK_OK;
        });
}

Status Library::restart() {
    const pumice_plugin_entry_1* entry = entry_;
    end();
    return begin(*entry);
}

Library::~Library() {
    end();
}

Result<Instance> Instance::create(std::shared_ptr<Library> library, std::uint32_t index, const pumice_host* host) {
    const pumice_plugin_factory_1& factory = library->factory();
    std::string thrown;
    pumice_plugin* plugin = nullptr;
    pumice_sdk_status status = call_plugin(thrown, [&] { return factory.create(index, host, &plugin); });
    if (status != PUMICE_SDK_OK) return plugin_error(status, "", thrown, "its create failed");
    PUMICE_TRY(check_plugin(plugin, factory.descriptor(index)));
    Instance instance(std::move(library), plugin);
    status = call_plugin(thrown, [&] { return plugin->init(plugin); });
    if (status != PUMICE_SDK_OK) return plugin_error(status, "", thrown, "its plugin's init failed");
    return instance;
}

Instance::~Instance() {
    std::string thrown;
    if (plugin_)
        call_plugin(thrown, [&] {
            plugin_->destroy(plugin_);
            return PUMICE_SDK_OK;
        });
}

const pumice_sampler_1* Instance::sampler() const {
    return static_cast<const pumice_sampler_1*>(plugin_->get_extension(plugin_, PUMICE_SAMPLER_1));
}

const pumice_schedule_1* Instance::schedule() const {
    return static_cast<const pumice_schedule_1*>(plugin_->get_extension(plugin_, PUMICE_SCHEDULE_1));
}

const pumice_guidance_1* Instance::guidance() const {
    return static_cast<const pumice_guidance_1*>(plugin_->get_extension(plugin_, PUMICE_GUIDANCE_1));
}

const pumice_control_1* Instance::control() const {
    return static_cast<const pumice_control_1*>(plugin_->get_extension(plugin_, PUMICE_CONTROL_1));
}

const pumice_upscaler_1* Instance::upscaler() const {
    return static_cast<const pumice_upscaler_1*>(plugin_->get_extension(plugin_, PUMICE_UPSCALER_1));
}

const pumice_preprocessor_1* Instance::preprocessor() const {
    return static_cast<const pumice_preprocessor_1*>(plugin_->get_extension(plugin_, PUMICE_PREPROCESSOR_1));
}

const pumice_image_filter_1* Instance::image_filter() const {
    return static_cast<const pumice_image_filter_1*>(plugin_->get_extension(plugin_, PUMICE_IMAGE_FILTER_1));
}

Result<std::vector<Description>> examine(const std::shared_ptr<Library>& library) {
    const pumice_plugin_factory_1& factory = library->factory();
    constexpr std::uint32_t kMost = 64;
    const std::uint32_t count = factory.count();
    if (count == 0 || count > kMost) return broken(fmt::format("it has {} plugins, not 1 to {}", count, kMost));
    std::vector<Description> all;
    for (std::uint32_t i = 0; i < count; ++i) {
        PUMICE_ASSIGN(Description description, read_descriptor(factory.descriptor(i)));
        for (const Description& other : all)
            if (other.id == description.id) return broken(fmt::format("it has two plugins {}", description.id));
        BareHost bare;
        auto instance = Instance::create(library, i, &bare.host);
        if (!instance) {
            if (!bare.error.empty()) instance.error().message += " (" + bare.error + ")";
            return std::move(instance.error());
        }
        Status status;
        std::string thrown;
        call_plugin(thrown, [&] {
            status = read_extensions(*instance, description);
            return PUMICE_SDK_OK;
        });
        if (!thrown.empty()) return broken("get_extension or describe: " + thrown);
        PUMICE_TRY(std::move(status));
        all.push_back(std::move(description));
    }
    return all;
}

}  // namespace pumice::plugins
