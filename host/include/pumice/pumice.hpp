// pumice.h for C++20: handles that release themselves, errors as values, callbacks as functions. Header-only;
// everything pumice.h says of threads, ownership and errors holds here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "pumice/pumice.h"

namespace pumice {
// Keeps these names apart from those of the library itself where both are linked.
inline namespace embedding {

/// What failed: never PUMICE_OK.
struct Failure {
    pumice_status status = PUMICE_INTERNAL;
    std::string message;  ///< one line: what, where, what to do
};

/// A value or a Failure.
template <class T>
class [[nodiscard]] Expected {
public:
    Expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Expected(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}

    explicit operator bool() const { return state_.index() == 0; }
    /// The value; only when there is one.
    T& operator*() & { return std::get<0>(state_); }
    const T& operator*() const& { return std::get<0>(state_); }
    T&& operator*() && { return std::get<0>(std::move(state_)); }
    T* operator->() { return &std::get<0>(state_); }
    const T* operator->() const { return &std::get<0>(state_); }
    /// The failure; only when there is one.
    Failure& failure() { return std::get<1>(state_); }
    const Failure& failure() const { return std::get<1>(state_); }

private:
    std::variant<T, Failure> state_;
};

template <>
class [[nodiscard]] Expected<void> {
public:
    Expected() = default;
    Expected(Failure failure) : failure_(std::move(failure)) {}

    explicit operator bool() const { return !failure_; }
    Failure& failure() { return *failure_; }
    const Failure& failure() const { return *failure_; }

private:
    std::optional<Failure> failure_;
};

namespace detail {

/// As the C API takes lists. They point into what is given, which outlives them.
inline std::vector<const char*> texts(const std::vector<std::string>& list) {
    std::vector<const char*> pointers;
    for (const std::string& text : list) pointers.push_back(text.c_str());
    return pointers;
}
template <class T>
std::vector<const T*> pointers(const std::vector<T>& list) {
    std::vector<const T*> pointers;
    for (const T& each : list) pointers.push_back(&each);
    return pointers;
}

struct Destroy {
    void operator()(pumice_devices* p) const { pumice_devices_destroy(p); }
    void operator()(pumice_plugins* p) const { pumice_plugins_destroy(p); }
    void operator()(pumice_engine* p) const { pumice_engine_destroy(p); }
    void operator()(pumice_model* p) const { pumice_model_destroy(p); }
    void operator()(pumice_images* p) const { pumice_images_destroy(p); }
    void operator()(pumice_made_bitmap* p) const { pumice_made_bitmap_destroy(p); }
    void operator()(pumice_cancel* p) const { pumice_cancel_destroy(p); }
    void operator()(char* p) const { pumice_string_destroy(p); }
};
template <class T>
using Handle = std::unique_ptr<T, Destroy>;

inline Failure failure(const pumice_error& error) {
    return {error.status, error.message};
}

inline const char* text_or_null(const std::string& text) {
    return text.empty() ? nullptr : text.c_str();
}

inline std::vector<std::string_view> names(const pumice_plugins* plugins,
                                           const char* (*name)(const pumice_plugins*, std::size_t)) {
    std::vector<std::string_view> all;
    while (const char* next = name(plugins, all.size())) all.emplace_back(next);
    return all;
}

}  // namespace detail

inline pumice_version version() {
    pumice_version version = PUMICE_VERSION_INIT;
    pumice_get_version(&version);
    return version;
}

/// The devices of this machine, the best first.
class Devices {
public:
    static Expected<Devices> list() {
        pumice_error error = PUMICE_ERROR_INIT;
        pumice_devices* handle = nullptr;
        if (pumice_devices_create(&handle, &error) != PUMICE_OK) return detail::failure(error);
        return Devices(handle);
    }
    std::size_t size() const { return pumice_devices_count(handle_.get()); }
    /// `index` below size(). The texts belong to this list.
    pumice_device_info operator[](std::size_t index) const {
        pumice_device_info info = PUMICE_DEVICE_INFO_INIT;
        pumice_devices_get(handle_.get(), index, &info, nullptr);
        return info;
    }

private:
    explicit Devices(pumice_devices* handle) : handle_(handle) {}
    detail::Handle<pumice_devices> handle_;
};

/// See pumice_inspect_file.
inline Expected<std::string> inspect_file(const std::string& path) {
    pumice_error error = PUMICE_ERROR_INIT;
    char* json = nullptr;
    if (pumice_inspect_file(path.c_str(), &json, &error) != PUMICE_OK) return detail::failure(error);
    return std::string(detail::Handle<char>(json).get());
}

/// See pumice_describe_file.
inline Expected<std::string> describe_file(const std::string& path) {
    pumice_error error = PUMICE_ERROR_INIT;
    char* json = nullptr;
    if (pumice_describe_file(path.c_str(), &json, &error) != PUMICE_OK) return detail::failure(error);
    return std::string(detail::Handle<char>(json).get());
}

inline Expected<std::string> file_sha256(const std::string& path) {
    pumice_error error = PUMICE_ERROR_INIT;
    char digits[65];
    if (pumice_file_sha256(path.c_str(), digits, &error) != PUMICE_OK) return detail::failure(error);
    return std::string(digits);
}

class Cancel {
public:
    Cancel() : handle_(pumice_cancel_create()) {
        if (!handle_) throw std::bad_alloc();
    }
    void set() const { pumice_cancel_set(handle_.get()); }
    void reset() const { pumice_cancel_reset(handle_.get()); }
    void finish() const { pumice_cancel_finish(handle_.get()); }
    void skip() const { pumice_cancel_skip(handle_.get()); }
    const pumice_cancel* handle() const { return handle_.get(); }

private:
    detail::Handle<pumice_cancel> handle_;
};

using BytesProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// See pumice_verify_model. `on_progress` must not throw.
inline Expected<std::string> verify_model(const std::string& path, const BytesProgress& on_progress = {},
                                          const Cancel* cancel = nullptr) {
    pumice_verify_model_options values = PUMICE_VERIFY_MODEL_OPTIONS_INIT;
    if (on_progress)
        values.on_progress = [](void* user, std::uint64_t done, std::uint64_t total) noexcept {
            (*static_cast<const BytesProgress*>(user))(done, total);
        };
    values.user = const_cast<BytesProgress*>(&on_progress);
    if (cancel) values.cancel = cancel->handle();
    pumice_error error = PUMICE_ERROR_INIT;
    char* json = nullptr;
    if (pumice_verify_model(path.c_str(), &values, &json, &error) != PUMICE_OK) return detail::failure(error);
    return std::string(detail::Handle<char>(json).get());
}

/// The fields of pumice_write_options, where they are described.
struct WriteOptions {
    std::string format = {}, type = {};
    bool prune = false, ema = false, overwrite = false;
    std::string vae = {}, text_encoder = {};
    BytesProgress on_progress = {};  ///< must not throw
    const Cancel* cancel = nullptr;
};

namespace detail {
/// Valid as long as `options` is.
inline pumice_write_options write_options(const WriteOptions& options) {
    pumice_write_options values = PUMICE_WRITE_OPTIONS_INIT;
    values.format = options.format.c_str();
    values.type = options.type.c_str();
    values.prune = options.prune ? 1 : 0;
    values.ema = options.ema ? 1 : 0;
    values.overwrite = options.overwrite ? 1 : 0;
    values.vae = options.vae.c_str();
    values.text_encoder = options.text_encoder.c_str();
    if (options.on_progress)
        values.on_progress = [](void* user, std::uint64_t done, std::uint64_t total) noexcept {
            static_cast<const WriteOptions*>(user)->on_progress(done, total);
        };
    values.user = const_cast<WriteOptions*>(&options);
    if (options.cancel) values.cancel = options.cancel->handle();
    return values;
}
}  // namespace detail

/// See pumice_convert. Gives the report, JSON.
inline Expected<std::string> convert(const std::string& model, const std::string& output,
                                     const WriteOptions& options = {}) {
    const pumice_write_options values = detail::write_options(options);
    pumice_error error = PUMICE_ERROR_INIT;
    char* report = nullptr;
    if (pumice_convert(model.c_str(), output.c_str(), &values, &report, &error) != PUMICE_OK)
        return detail::failure(error);
    return std::string(detail::Handle<char>(report).get());
}

/// The fields of pumice_merge_request, where they are described.
struct MergeRequest {
    std::string a = {}, b = {}, c = {};
    pumice_merge_method method = PUMICE_MERGE_WEIGHTED_SUM;
    double alpha = 0.5;
    std::vector<double> blocks = {};
};

/// See pumice_merge. Gives the report, JSON.
inline Expected<std::string> merge(const MergeRequest& request, const std::string& output,
                                   const WriteOptions& options = {}) {
    const pumice_write_options values = detail::write_options(options);
    pumice_merge_request merge = PUMICE_MERGE_REQUEST_INIT;
    merge.a = request.a.c_str();
    merge.b = request.b.c_str();
    merge.c = detail::text_or_null(request.c);
    merge.method = request.method;
    merge.alpha = request.alpha;
    merge.blocks = request.blocks.data();
    merge.block_count = request.blocks.size();
    pumice_error error = PUMICE_ERROR_INIT;
    char* report = nullptr;
    if (pumice_merge(&merge, output.c_str(), &values, &report, &error) != PUMICE_OK) return detail::failure(error);
    return std::string(detail::Handle<char>(report).get());
}

/// The fields of pumice_adapter, where they are described.
struct Adapter {
    std::string file = {};
    float text_weight = 1, unet_weight = 1;
};

/// See pumice_bake. Gives the report, JSON.
inline Expected<std::string> bake(const std::string& model, const std::vector<Adapter>& adapters,
                                  const std::string& output, const WriteOptions& options = {}) {
    const pumice_write_options values = detail::write_options(options);
    std::vector<pumice_adapter> list;
    for (const Adapter& a : adapters)
        list.push_back({sizeof(pumice_adapter), a.file.c_str(), a.text_weight, a.unet_weight});
    std::vector<const pumice_adapter*> pointers;
    for (const pumice_adapter& a : list) pointers.push_back(&a);
    pumice_bake_request bake = PUMICE_BAKE_REQUEST_INIT;
    bake.model = model.c_str();
    bake.adapters = pointers.data();
    bake.adapter_count = list.size();
    pumice_error error = PUMICE_ERROR_INIT;
    char* report = nullptr;
    if (pumice_bake(&bake, output.c_str(), &values, &report, &error) != PUMICE_OK) return detail::failure(error);
    return std::string(detail::Handle<char>(report).get());
}

/// The fields of pumice_extract_request, where they are described.
struct ExtractRequest {
    std::string tuned = {}, base = {};
    std::uint32_t rank = 32, conv_rank = 0;
};

/// See pumice_extract. Gives the report, JSON.
inline Expected<std::string> extract(const ExtractRequest& request, const std::string& output,
                                     const WriteOptions& options = {}) {
    const pumice_write_options values = detail::write_options(options);
    pumice_extract_request extract = PUMICE_EXTRACT_REQUEST_INIT;
    extract.tuned = request.tuned.c_str();
    extract.base = request.base.c_str();
    extract.rank = request.rank;
    extract.conv_rank = request.conv_rank;
    pumice_error error = PUMICE_ERROR_INIT;
    char* report = nullptr;
    if (pumice_extract(&extract, output.c_str(), &values, &report, &error) != PUMICE_OK) return detail::failure(error);
    return std::string(detail::Handle<char>(report).get());
}

using LogFunction = std::function<void(pumice_log_level, std::string_view line)>;

struct PluginFolder {
    std::string path, place;
};

/// The fields of pumice_plugin_options, where they are described.
struct PluginOptions {
    std::vector<PluginFolder> folders = {};
    std::string state_folder = {};  ///< empty: nothing is kept
    double probe_seconds = 0;
    bool safe_mode = false;
    bool probe_again = false;
    LogFunction log = {};  ///< any time until the plugins and the engines that use them are gone; must not throw
};

class Plugins {
public:
    static Expected<Plugins> find(const PluginOptions& wanted = {}) {
        Plugins plugins;
        std::vector<pumice_plugin_folder> folders;
        for (const PluginFolder& folder : wanted.folders)
            folders.push_back({folder.path.c_str(), folder.place.c_str()});
        pumice_plugin_options options = PUMICE_PLUGIN_OPTIONS_INIT;
        options.folders = folders.data();
        options.folder_count = folders.size();
        options.state_folder = detail::text_or_null(wanted.state_folder);
        options.probe_seconds = wanted.probe_seconds;
        options.safe_mode = wanted.safe_mode ? 1 : 0;
        options.probe_again = wanted.probe_again ? 1 : 0;
        if (wanted.log) {
            plugins.log_ = std::make_shared<LogFunction>(wanted.log);
            options.log = [](void* user, pumice_log_level level, const char* line) {
                (*static_cast<LogFunction*>(user))(level, line);
            };
            options.user = plugins.log_.get();
        }
        pumice_error error = PUMICE_ERROR_INIT;
        pumice_plugins* handle = nullptr;
        if (pumice_plugins_create(&options, &handle, &error) != PUMICE_OK) return detail::failure(error);
        plugins.handle_.reset(handle);
        return plugins;
    }

    /// Of these plugins, as long as they live.
    std::vector<std::string_view> samplers() const { return detail::names(handle_.get(), pumice_plugins_sampler); }
    std::vector<std::string_view> schedules() const { return detail::names(handle_.get(), pumice_plugins_schedule); }
    std::vector<std::string_view> guidances() const { return detail::names(handle_.get(), pumice_plugins_guidance); }
    std::vector<std::string_view> controls() const { return detail::names(handle_.get(), pumice_plugins_control); }
    std::vector<std::string_view> upscalers() const { return detail::names(handle_.get(), pumice_plugins_upscaler); }
    std::vector<std::string_view> preprocessors() const {
        return detail::names(handle_.get(), pumice_plugins_preprocessor);
    }
    std::vector<std::string_view> image_filters() const {
        return detail::names(handle_.get(), pumice_plugins_image_filter);
    }
    std::string_view json() const { return pumice_plugins_json(handle_.get()); }
    Expected<void> set_enabled(const std::string& id, bool enabled) {
        pumice_error error = PUMICE_ERROR_INIT;
        if (pumice_plugins_set_enabled(handle_.get(), id.c_str(), enabled ? 1 : 0, &error) != PUMICE_OK)
            return detail::failure(error);
        return {};
    }
    const pumice_plugins* handle() const { return handle_.get(); }

private:
    friend class Engine;
    Plugins() = default;
    std::shared_ptr<LogFunction> log_;  ///< before handle_, which uses it to the end
    detail::Handle<pumice_plugins> handle_;
};

struct VerifyOptions {
    double seconds = 0;                   ///< 0: 30
    std::string device = {};              ///< empty: the best; "none": none
    std::vector<std::string> files = {};  ///< "NAME=FILE"
    std::function<void(std::string_view check, pumice_check_outcome outcome, std::string_view why)> on_check = {};
};

/// See pumice_plugin_verify.
inline Expected<std::string> verify_plugin(const std::string& library, const VerifyOptions& wanted = {}) {
    pumice_verify_options options = PUMICE_VERIFY_OPTIONS_INIT;
    options.seconds = wanted.seconds;
    options.device = detail::text_or_null(wanted.device);
    std::vector<const char*> files;
    for (const std::string& file : wanted.files) files.push_back(file.c_str());
    options.files = files.data();
    options.file_count = files.size();
    if (wanted.on_check) {
        options.on_check = [](void* user, const char* check, std::int32_t outcome, const char* why) noexcept {
            static_cast<const VerifyOptions*>(user)->on_check(check, static_cast<pumice_check_outcome>(outcome), why);
        };
        options.user = const_cast<void*>(static_cast<const void*>(&wanted));
    }
    pumice_error error = PUMICE_ERROR_INIT;
    char* report = nullptr;
    if (pumice_plugin_verify(library.c_str(), &options, &report, &error) != PUMICE_OK) return detail::failure(error);
    return std::string(detail::Handle<char>(report).get());
}

struct EngineOptions {
    std::string device = {};         ///< empty: the best
    std::string cache_folder = {};   ///< empty: pipelines are not kept
    std::string shader_folder = {};  ///< empty: the shaders that are built in
    bool validation = false;
    LogFunction log = {};              ///< on any thread, one call at a time; must not throw
    const Plugins* plugins = nullptr;  ///< nullptr: those that come with Pumice
    bool profile = false;              ///< see Images::profile
};

class Engine {
public:
    static Expected<Engine> create(const EngineOptions& wanted = {}) {
        Engine engine;
        pumice_engine_options options = PUMICE_ENGINE_OPTIONS_INIT;
        options.device = detail::text_or_null(wanted.device);
        options.cache_folder = detail::text_or_null(wanted.cache_folder);
        options.shader_folder = detail::text_or_null(wanted.shader_folder);
        options.validation = wanted.validation ? 1 : 0;
        options.profile = wanted.profile ? 1 : 0;
        if (wanted.log) {
            engine.log_ = std::make_shared<LogFunction>(wanted.log);
            options.log = [](void* user, pumice_log_level level, const char* line) {
                (*static_cast<LogFunction*>(user))(level, line);
            };
            options.user = engine.log_.get();
        }
        pumice_error error = PUMICE_ERROR_INIT;
        if (wanted.plugins) {
            engine.plugins_log_ = wanted.plugins->log_;
            options.plugins = wanted.plugins->handle();
        }
        pumice_engine* handle = nullptr;
        if (pumice_engine_create(&options, &handle, &error) != PUMICE_OK) return detail::failure(error);
        engine.handle_.reset(handle);
        return engine;
    }

    /// The texts belong to the engine.
    pumice_device_info device() const {
        pumice_device_info info = PUMICE_DEVICE_INFO_INIT;
        pumice_engine_device(handle_.get(), &info, nullptr);
        return info;
    }
    /// See pumice_engine_peaks.
    Expected<std::string> peaks() const {
        pumice_error error = PUMICE_ERROR_INIT;
        char* json = nullptr;
        if (pumice_engine_peaks(handle_.get(), &json, &error) != PUMICE_OK) return detail::failure(error);
        return std::string(detail::Handle<char>(json).get());
    }
    pumice_engine* handle() const { return handle_.get(); }

private:
    friend class Model;
    Engine() = default;
    std::shared_ptr<LogFunction> plugins_log_;
    std::shared_ptr<LogFunction> log_;  ///< before handle_, which uses it to the end
    detail::Handle<pumice_engine> handle_;
};

/// The fields of pumice_init_picture, where they are described.
struct Picture {
    std::uint32_t width = 0, height = 0;
    std::vector<std::uint8_t> rgb = {};
    std::uint32_t mask_width = 0, mask_height = 0;
    std::vector<std::uint8_t> mask = {};  ///< empty: all is painted anew
    float strength = 0.75f;
    pumice_resize_mode resize = PUMICE_RESIZE_STRETCH;
    float mask_blur = 4;
    pumice_mask_fill fill = PUMICE_MASK_ORIGINAL;
    bool only_masked = false;
    std::uint32_t mask_padding = 32;
    float image_guidance_scale = 1.5f;
    std::uint32_t extend_left = 0, extend_top = 0, extend_right = 0, extend_bottom = 0;

    /// Points into this.
    pumice_init_picture view() const {
        pumice_init_picture p = PUMICE_INIT_PICTURE_INIT;
        p.width = width;
        p.height = height;
        p.rgb = rgb.data();
        p.mask_width = mask_width;
        p.mask_height = mask_height;
        p.mask = mask.empty() ? nullptr : mask.data();
        p.strength = strength;
        p.resize = resize;
        p.mask_blur = mask_blur;
        p.fill = fill;
        p.only_masked = only_masked ? 1 : 0;
        p.mask_padding = mask_padding;
        p.image_guidance_scale = image_guidance_scale;
        p.extend_left = extend_left;
        p.extend_top = extend_top;
        p.extend_right = extend_right;
        p.extend_bottom = extend_bottom;
        return p;
    }
};

/// The fields of pumice_hires, where they are described.
struct Hires {
    std::uint32_t width = 0, height = 0;
    std::uint32_t steps = 0;
    float strength = 0.7f;
    std::string sampler = {}, upscaler = {}, upscaler_model = {};

    /// Points into this.
    pumice_hires view() const {
        return {sizeof(pumice_hires), width, height, steps, strength, sampler.c_str(), upscaler.c_str(),
                upscaler_model.c_str()};
    }
};

/// The fields of pumice_bench_options, where they are described.
struct BenchOptions {
    std::string device = {};
    pumice_precision precision = PUMICE_PRECISION_AUTO;
    bool quick = false;
    std::string model = {}, control_model = {}, only = {};
    std::uint32_t repeats = 0;
    std::string work_folder = {};
    bool validation = false;
    std::function<void(pumice_log_level, std::string_view)> log = {};  ///< must not throw
    std::function<void(std::string_view what)> on_progress = {};       ///< must not throw
    const Cancel* cancel = nullptr;
    const Plugins* plugins = nullptr;
};

/// See pumice_bench.
inline Expected<std::string> bench(const BenchOptions& wanted) {
    pumice_bench_options options = PUMICE_BENCH_OPTIONS_INIT;
    options.device = wanted.device.c_str();
    options.precision = wanted.precision;
    options.quick = wanted.quick ? 1 : 0;
    options.model = wanted.model.c_str();
    options.control_model = wanted.control_model.c_str();
    options.only = wanted.only.c_str();
    options.repeats = wanted.repeats;
    options.work_folder = wanted.work_folder.c_str();
    options.validation = wanted.validation ? 1 : 0;
    if (wanted.log)
        options.log = [](void* user, pumice_log_level level, const char* line) {
            static_cast<const BenchOptions*>(user)->log(level, line);
        };
    if (wanted.on_progress)
        options.on_progress = [](void* user, const char* what) {
            static_cast<const BenchOptions*>(user)->on_progress(what);
        };
    options.user = const_cast<BenchOptions*>(&wanted);
    if (wanted.cancel) options.cancel = wanted.cancel->handle();
    if (wanted.plugins) options.plugins = wanted.plugins->handle();
    pumice_error error = PUMICE_ERROR_INIT;
    char* json = nullptr;
    if (pumice_bench(&options, &json, &error) != PUMICE_OK) return detail::failure(error);
    return std::string(detail::Handle<char>(json).get());
}

class Model;

/// The fields of pumice_request, where they are described. Model::defaults gives one that suits a model.
/// See pumice_control.
struct Control {
    std::string model = {}, method = {}, preprocessor = {};
    std::vector<std::uint8_t> rgb = {};
    std::uint32_t width = 0, height = 0;
    float weight = 1, start = 0, end = 1;
    pumice_control_mode mode = PUMICE_CONTROL_BALANCED;
    pumice_resize_mode resize = PUMICE_RESIZE_CROP;
};

struct Request {
    std::string prompt = {}, negative_prompt = {};
    std::uint32_t width = 0, height = 0;
    std::uint32_t steps = 0;
    float guidance_scale = 0;
    std::string sampler = {}, schedule = {};
    std::uint64_t seed = 0;
    pumice_rng rng = PUMICE_RNG_TORCH_CPU;
    std::uint32_t batch = 1;
    std::uint32_t clip_skip = 1;
    std::function<void(const pumice_progress&)> on_progress = {};  ///< must not throw
    const Cancel* cancel = nullptr;
    std::vector<std::string> plugin_params = {};  ///< "sampler.eta=0.5"
    std::string guidance = {};                    ///< empty: plain
    std::vector<Control> controls = {};
    std::vector<std::string> filters = {};        ///< image filters, one after the other
    std::vector<Adapter> adapters = {};
    std::vector<std::string> adapter_folders = {};  ///< of `<lora:…>` in the prompt
    std::optional<Picture> picture = {};
    std::uint32_t original_width = 0, original_height = 0, crop_left = 0, crop_top = 0;
    std::uint32_t target_width = 0, target_height = 0;
    float aesthetic_score = 6, negative_aesthetic_score = 2.5f;
    const Model* refiner = nullptr;
    float refiner_switch = 0.8f;
    float variation_strength = 0;
    std::uint64_t variation_seed = 0;
    std::uint32_t seed_width = 0, seed_height = 0;
    std::uint64_t eta_seed_delta = 0;
    bool seamless_x = false, seamless_y = false;
    std::vector<std::string> embedding_folders = {};  ///< of words that are names of embeddings
    pumice_emphasis emphasis = PUMICE_EMPHASIS_ORIGINAL;
    std::optional<Hires> hires = {};
    std::uint32_t tile_width = 0, tile_height = 0, tile_overlap = 0, stop_at = 0;
    std::uint32_t preview_every = 0;
    pumice_preview_method preview_method = PUMICE_PREVIEW_LATENT_RGB;
    std::string preview_model = {};
    std::function<void(const pumice_preview&)> on_preview = {};  ///< must not throw
};

/// See pumice_expand_wildcards.
inline Expected<std::string> expand_wildcards(const std::string& prompt, std::uint64_t seed,
                                              const std::vector<std::string>& folders) {
    std::vector<const char*> list;
    for (const std::string& folder : folders) list.push_back(folder.c_str());
    pumice_error error = PUMICE_ERROR_INIT;
    char* text = nullptr;
    if (pumice_expand_wildcards(prompt.c_str(), seed, list.data(), list.size(), &text, &error) != PUMICE_OK)
        return detail::failure(error);
    return std::string(detail::Handle<char>(text).get());
}

class Images {
public:
    struct Image {
        std::uint32_t width, height;
        std::span<const std::uint8_t> rgb;  ///< 3 bytes a pixel, row by row from the top
        std::uint64_t seed;
    };
    std::size_t size() const { return pumice_images_count(handle_.get()); }
    /// `index` below size(). The pixels belong to these images.
    Image operator[](std::size_t index) const {
        pumice_image image = PUMICE_IMAGE_INIT;
        pumice_images_get(handle_.get(), index, &image, nullptr);
        return {image.width, image.height, {image.rgb, std::size_t(image.width) * image.height * 3}, image.seed};
    }
    /// JSON, see pumice_images_report.
    std::string_view report() const { return pumice_images_report(handle_.get()); }
    /// JSON, see pumice_images_profile.
    std::string_view profile() const { return pumice_images_profile(handle_.get()); }

private:
    friend class Model;
    explicit Images(pumice_images* handle) : handle_(handle) {}
    detail::Handle<pumice_images> handle_;
};

class Model {
public:
    static Expected<Model> load(const Engine& engine, const std::string& path, const pumice_model_options& options) {
        Model model;
        model.log_ = engine.log_;
        pumice_error error = PUMICE_ERROR_INIT;
        pumice_model* handle = nullptr;
        if (pumice_model_load(engine.handle(), path.c_str(), &options, &handle, &error) != PUMICE_OK)
            return detail::failure(error);
        model.handle_.reset(handle);
        return model;
    }
    static Expected<Model> load(const Engine& engine, const std::string& path,
                                pumice_precision precision = PUMICE_PRECISION_AUTO) {
        pumice_model_options options = PUMICE_MODEL_OPTIONS_INIT;
        options.precision = precision;
        return load(engine, path, options);
    }

    /// See pumice_model_defaults; no prompt, seed 0.
    Request defaults() const {
        pumice_request values = PUMICE_REQUEST_INIT;
        pumice_model_defaults(handle_.get(), &values, nullptr);
        Request request;
        request.width = values.width;
        request.height = values.height;
        request.steps = values.steps;
        request.guidance_scale = values.guidance_scale;
        request.sampler = values.sampler;
        request.schedule = values.schedule;
        request.rng = values.rng;
        request.batch = values.batch;
        request.clip_skip = values.clip_skip;
        return request;
    }

    Expected<Images> generate(const Request& request) {
        const auto on_progress = [](void* user, const pumice_progress* progress) noexcept {
            static_cast<const Request*>(user)->on_progress(*progress);
        };
        pumice_request values = PUMICE_REQUEST_INIT;
        values.prompt = request.prompt.c_str();
        values.negative_prompt = request.negative_prompt.c_str();
        values.width = request.width;
        values.height = request.height;
        values.steps = request.steps;
        values.guidance_scale = request.guidance_scale;
        values.sampler = request.sampler.c_str();
        values.schedule = request.schedule.c_str();
        values.seed = request.seed;
        values.rng = request.rng;
        values.batch = request.batch;
        values.clip_skip = request.clip_skip;
        if (request.on_progress) values.on_progress = on_progress;
        values.user = const_cast<Request*>(&request);
        if (request.cancel) values.cancel = request.cancel->handle();
        const auto params = detail::texts(request.plugin_params);
        values.plugin_params = params.data();
        values.plugin_param_count = params.size();
        values.guidance = request.guidance.c_str();
        std::vector<pumice_control> controls;
        for (const Control& c : request.controls)
            controls.push_back({sizeof(pumice_control), c.model.c_str(), c.method.c_str(), c.rgb.data(), c.width,
                                c.height, c.preprocessor.c_str(), c.weight, c.start, c.end, c.mode, c.resize});
        const auto control_list = detail::pointers(controls);
        values.controls = control_list.data();
        values.control_count = control_list.size();
        const auto filters = detail::texts(request.filters);
        values.filters = filters.data();
        values.filter_count = filters.size();
        std::vector<pumice_adapter> adapters;
        for (const Adapter& a : request.adapters)
            adapters.push_back({sizeof(pumice_adapter), a.file.c_str(), a.text_weight, a.unet_weight});
        const auto adapter_list = detail::pointers(adapters);
        values.adapters = adapter_list.data();
        values.adapter_count = adapter_list.size();
        const auto adapter_folders = detail::texts(request.adapter_folders);
        values.adapter_folders = adapter_folders.data();
        values.adapter_folder_count = adapter_folders.size();
        pumice_init_picture picture = PUMICE_INIT_PICTURE_INIT;
        if (request.picture) {
            picture = request.picture->view();
            values.picture = &picture;
        }
        values.original_width = request.original_width;
        values.original_height = request.original_height;
        values.crop_left = request.crop_left;
        values.crop_top = request.crop_top;
        values.target_width = request.target_width;
        values.target_height = request.target_height;
        values.aesthetic_score = request.aesthetic_score;
        values.negative_aesthetic_score = request.negative_aesthetic_score;
        if (request.refiner) values.refiner = request.refiner->handle();
        values.refiner_switch = request.refiner_switch;
        values.variation_strength = request.variation_strength;
        values.variation_seed = request.variation_seed;
        values.seed_width = request.seed_width;
        values.seed_height = request.seed_height;
        values.eta_seed_delta = request.eta_seed_delta;
        values.seamless_x = request.seamless_x ? 1 : 0;
        values.seamless_y = request.seamless_y ? 1 : 0;
        const auto embedding_folders = detail::texts(request.embedding_folders);
        values.embedding_folders = embedding_folders.data();
        values.embedding_folder_count = embedding_folders.size();
        values.emphasis = request.emphasis;
        pumice_hires hires = PUMICE_HIRES_INIT;
        if (request.hires) {
            hires = request.hires->view();
            values.hires = &hires;
        }
        values.tile_width = request.tile_width;
        values.tile_height = request.tile_height;
        values.tile_overlap = request.tile_overlap;
        values.stop_at = request.stop_at;
        values.preview_every = request.preview_every;
        values.preview_method = request.preview_method;
        values.preview_model = request.preview_model.c_str();
        if (request.on_preview)
            values.on_preview = [](void* user, const pumice_preview* preview) noexcept {
                static_cast<const Request*>(user)->on_preview(*preview);
            };
        pumice_error error = PUMICE_ERROR_INIT;
        pumice_images* handle = nullptr;
        if (pumice_generate(handle_.get(), &values, &handle, &error) != PUMICE_OK) return detail::failure(error);
        return Images(handle);
    }
    pumice_model* handle() const { return handle_.get(); }

    /// JSON, see pumice_model_plan: of the request's size, batch and guidance scale.
    Expected<std::string> plan(const Request& request) const {
        pumice_request values = PUMICE_REQUEST_INIT;
        values.width = request.width;
        values.height = request.height;
        values.batch = request.batch;
        values.guidance_scale = request.guidance_scale;
        pumice_error error = PUMICE_ERROR_INIT;
        char* text = nullptr;
        if (pumice_model_plan(handle_.get(), &values, &text, &error) != PUMICE_OK) return detail::failure(error);
        return std::string(detail::Handle<char>(text).get());
    }

private:
    Model() = default;
    std::shared_ptr<LogFunction> log_;
    detail::Handle<pumice_model> handle_;
};

/// Pixels of somebody's: 3 or 4 bytes each, row by row from the top.
struct Bitmap {
    std::uint32_t width = 0, height = 0, channels = 3;
    std::span<const std::uint8_t> pixels = {};
};

struct UpscaleRequest;
struct PreprocessRequest;

/// A picture made of another.
class MadeBitmap {
public:
    /// The pixels belong to this object.
    Bitmap bitmap() const {
        pumice_bitmap b = PUMICE_BITMAP_INIT;
        pumice_made_bitmap_get(handle_.get(), &b, nullptr);
        return {b.width, b.height, b.channels, {b.pixels, std::size_t(b.width) * b.height * b.channels}};
    }
    /// JSON, see pumice_made_bitmap_report.
    std::string_view report() const { return pumice_made_bitmap_report(handle_.get()); }

private:
    friend Expected<MadeBitmap> upscale(const Engine&, const UpscaleRequest&);
    friend Expected<MadeBitmap> preprocess(const Engine&, const PreprocessRequest&);
    explicit MadeBitmap(pumice_made_bitmap* handle) : handle_(handle) {}
    detail::Handle<pumice_made_bitmap> handle_;
};

/// The fields of pumice_upscale_request, where they are described.
struct UpscaleRequest {
    Bitmap bitmap = {};
    std::string upscaler = {}, model = {};
    double scale = 0;
    pumice_precision precision = PUMICE_PRECISION_AUTO;
    std::vector<std::string> plugin_params = {};
    std::function<void(const pumice_progress&)> on_progress = {};  ///< must not throw
    const Cancel* cancel = nullptr;
};

/// The fields of pumice_preprocess_request, where they are described.
struct PreprocessRequest {
    Bitmap bitmap = {};
    std::string preprocessor = {};
    std::uint32_t width = 0, height = 0;
    std::uint64_t seed = 0;
    pumice_precision precision = PUMICE_PRECISION_AUTO;
    std::vector<std::string> plugin_params = {};
    const Cancel* cancel = nullptr;
};

namespace detail {
inline pumice_bitmap bitmap(const Bitmap& b) {
    return {sizeof(pumice_bitmap), b.width, b.height, b.channels, b.pixels.data()};
}
inline std::vector<const char*> pointers(const std::vector<std::string>& texts) {
    std::vector<const char*> all;
    for (const std::string& text : texts) all.push_back(text.c_str());
    return all;
}
}  // namespace detail

inline Expected<MadeBitmap> upscale(const Engine& engine, const UpscaleRequest& request) {
    pumice_upscale_request values = PUMICE_UPSCALE_REQUEST_INIT;
    values.bitmap = detail::bitmap(request.bitmap);
    values.upscaler = request.upscaler.c_str();
    values.model = request.model.c_str();
    values.scale = request.scale;
    values.precision = request.precision;
    const auto params = detail::pointers(request.plugin_params);
    values.plugin_params = params.data();
    values.plugin_param_count = params.size();
    if (request.on_progress)
        values.on_progress = [](void* user, const pumice_progress* progress) noexcept {
            static_cast<const UpscaleRequest*>(user)->on_progress(*progress);
        };
    values.user = const_cast<UpscaleRequest*>(&request);
    if (request.cancel) values.cancel = request.cancel->handle();
    pumice_error error = PUMICE_ERROR_INIT;
    pumice_made_bitmap* made = nullptr;
    if (pumice_upscale(engine.handle(), &values, &made, &error) != PUMICE_OK) return detail::failure(error);
    return MadeBitmap(made);
}

inline Expected<MadeBitmap> preprocess(const Engine& engine, const PreprocessRequest& request) {
    pumice_preprocess_request values = PUMICE_PREPROCESS_REQUEST_INIT;
    values.bitmap = detail::bitmap(request.bitmap);
    values.preprocessor = request.preprocessor.c_str();
    values.width = request.width;
    values.height = request.height;
    values.seed = request.seed;
    values.precision = request.precision;
    const auto params = detail::pointers(request.plugin_params);
    values.plugin_params = params.data();
    values.plugin_param_count = params.size();
    if (request.cancel) values.cancel = request.cancel->handle();
    pumice_error error = PUMICE_ERROR_INIT;
    pumice_made_bitmap* made = nullptr;
    if (pumice_preprocess(engine.handle(), &values, &made, &error) != PUMICE_OK) return detail::failure(error);
    return MadeBitmap(made);
}

}  // namespace embedding
}  // namespace pumice
