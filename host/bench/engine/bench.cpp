// pumice_bench.
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "base/hash.hpp"
#include "bench/engine/measure.hpp"
#include "engine/abi.hpp"
#include "engine/device_json.hpp"
#include "engine/profile_json.hpp"
#include "models/random_checkpoint.hpp"

namespace pumice::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::uint64_t kSeed = 20;  // of random weights: any, as long as it stays

const char* name_of(Precision precision) {
    return precision == Precision::exact ? "exact" : precision == Precision::fp16 ? "fp16" : "fp32";
}

/// What fp16 is held against is fp32, and what that is held against is the exact form.
Precision reference_of(Precision precision) {
    return precision == Precision::fp16 ? Precision::fp32 : Precision::exact;
}

/// A folder in the work folder that goes with everything in it.
class WorkFolder {
public:
    static Result<WorkFolder> create(const std::string& parent) {
        if (parent.empty()) return Error{Code::invalid_argument, "options.work_folder is empty"};
        std::string pattern = (fs::path(parent) / "bench-XXXXXX").string();
        if (!::mkdtemp(pattern.data()))
            return Error{Code::io, fmt::format("{}: no folder can be made there; choose another", parent)};
        return WorkFolder(pattern);
    }
    ~WorkFolder() {
        std::error_code ignored;
        if (!path_.empty()) fs::remove_all(path_, ignored);
    }
    WorkFolder(WorkFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    WorkFolder& operator=(WorkFolder&&) = delete;
    const fs::path& path() const { return path_; }

private:
    explicit WorkFolder(fs::path path) : path_(std::move(path)) {}
    fs::path path_;
};

struct Files {
    fs::path model, control;
    std::string weights;  ///< where they are from, for the report
};

/// One call of pumice_bench.
struct Run {
    const pumice_bench_options& given;
    WorkFolder work;
    Precision precision = Precision::fp32;
    MeasureOptions options = {};
    EnergyMeter energy = EnergyMeter();
    Json results = Json::array(), left_out = Json::array(), weights = Json::object();

    const std::atomic<bool>* cancel() const { return given.cancel ? &given.cancel->set : nullptr; }
    pumice_engine_options engine_options(const fs::path& cache) const {
        pumice_engine_options o = PUMICE_ENGINE_OPTIONS_INIT;
        o.device = given.device;
        o.cache_folder = cache.c_str();
        o.validation = given.validation;
        o.log = given.log;
        o.user = given.user;
        o.plugins = given.plugins;
        return o;
    }
    Result<std::vector<Group>> groups() const;
    Result<Files> files(const Group&) const;
    Status run(const Group&);
    Result<std::string> all();
};

Result<std::vector<Group>> Run::groups() const {
    const std::string model = abi::text_or_empty(given.model), only = abi::text_or_empty(given.only);
    std::vector<Group> groups;
    if (given.quick) {
        groups = {quick_group()};
    } else if (model.empty()) {
        groups = random_groups();
    } else {
        PUMICE_ASSIGN(const WeightFile file, WeightFile::open(model));
        PUMICE_ASSIGN(const ModelConfig config, model_config(file));
        groups = {given_group(family_group(config.family), 512)};
    }
    groups = choose(std::move(groups), only);
    if (groups.empty()) return Error{Code::not_found, fmt::format("no profile has '{}' in its name", only)};
    return groups;
}

Result<Files> Run::files(const Group& group) const {
    if (group.weights == Weights::given) {
        const fs::path model = abi::text_or_empty(given.model);
        PUMICE_ASSIGN(const std::string digest, sha256_file(model));
        return Files{model, abi::text_or_empty(given.control_model), "sha256 " + digest};
    }
    const bool xl = group.weights == Weights::random_sdxl;
    options.progress(group.prefix + ": making random weights");
    CheckpointRequest request;
    PUMICE_ASSIGN(request.config, config_from_json(xl ? R"({"kind": "sdxl"})" : R"({"kind": "sd1"})", group.prefix));
    request.seed = kSeed;
    request.file = work.path() / (group.prefix + ".safetensors");
    PUMICE_TRY(write_checkpoint(request));
    Files files{request.file, {}, fmt::format("random, seed {}", kSeed)};
    for (const Profile& profile : group.profiles) {
        if (profile.kind != Kind::control || !files.control.empty()) continue;
        request.file = files.control = work.path() / (group.prefix + "-control.safetensors");
        PUMICE_TRY(write_control_checkpoint(request));
    }
    return files;
}

Status Run::run(const Group& group) {
    PUMICE_ASSIGN(const Files files, this->files(group));
    weights[group.prefix] = files.weights;
    const fs::path cache = work.path() / (group.prefix + "-cache");
    fs::create_directory(cache);
    const auto open = [&] {
        return Session::open(engine_options(cache), files.model, files.control, precision, cancel());
    };
    std::optional<double> cold;
    if (const Profile& first = group.profiles.front(); first.cold) {
        options.progress(first.name + ": cold run");
        PUMICE_ASSIGN(cold, measure_cold(open, first));
    }
    std::vector<Measured> measured;
    {
        PUMICE_ASSIGN(const auto session, open());
        for (const Profile& profile : group.profiles) {
            if (profile.kind == Kind::control && !session->has_control()) {
                left_out.push_back({{"name", profile.name}, {"reason", "no ControlNet for this checkpoint was given"}});
                continue;
            }
            PUMICE_ASSIGN(Measured m, measure(*session, profile, options, energy));
            m.quality.limits = limits(precision);
            if (profile.cold) m.cold = cold;
            measured.push_back(std::move(m));
        }
        session->model().release_text_weights();
        session->model().unet_weights().release();
        session->model().release_vae_weights();
        PUMICE_ASSIGN(const auto reference, session->in(reference_of(precision)));
        PUMICE_TRY(compare_with(*reference, measured, options.progress));
    }
    for (const Measured& m : measured) results.push_back(to_json(m));
    std::error_code ignored;
    if (group.weights != Weights::given) {
        fs::remove(files.model, ignored);
        fs::remove(files.control, ignored);
    }
    return {};
}

Result<std::string> Run::all() {
    options.progress = [this](const std::string& what) {
        if (given.on_progress) given.on_progress(given.user, what.c_str());
    };
    PUMICE_ASSIGN(const std::vector<Group> groups, this->groups());
    options.repeats = given.repeats ? given.repeats : given.quick ? 3 : 5;
    Json device;
    Json notes = Json::array();
    {
        options.progress("the device's peaks");
        PUMICE_ASSIGN(const auto engine, open_engine(engine_options({})));
        const Capabilities& caps = engine->device->caps();
        PUMICE_ASSIGN(precision, choose_precision(given.precision, caps));
        PUMICE_ASSIGN(options.peaks, measure_peaks(engine->device));
        device = pumice::to_json(caps);
        if (caps.type == DeviceType::cpu) notes.push_back("the device is a processor: its driver runs shaders there");
        if (caps.timestamp_period <= 0) notes.push_back("the device has no timestamps: stages have no times");
    }
    if (!energy.reason().empty()) notes.push_back("no energy: " + energy.reason());
    for (const Group& group : groups) PUMICE_TRY(run(group));
    bool valid = true;
    for (const Json& result : results) valid = valid && result["quality"]["valid"].get<bool>();
    const Json json = {{"device", device},
                       {"precision", name_of(precision)},
                       {"reference", name_of(reference_of(precision))},
                       {"quick", given.quick != 0},
                       {"weights", weights},
                       {"peaks", pumice::to_json(options.peaks)},
                       {"notes", notes},
                       {"valid", valid},
                       {"left_out", left_out},
                       {"results", results}};
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Status check(const pumice_bench_options& o) {
    if (o.repeats == 1 || o.repeats > 100)
        return Error{Code::invalid_argument, fmt::format("options.repeats is {}, must be 2 to 100, or 0", o.repeats)};
    if (o.quick && abi::text_or_empty(o.model).empty())
        return Error{Code::invalid_argument, "options.model is empty: the small profiles are of the starter model"};
    return {};
}

}  // namespace
}  // namespace pumice::bench

extern "C" {

pumice_status pumice_bench(const pumice_bench_options* options, char** json, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!json) return pumice::Error{pumice::Code::invalid_argument, "json is NULL"};
        *json = nullptr;
        PUMICE_ASSIGN(const pumice_bench_options given, pumice::abi::read_struct(options, "options"));
        PUMICE_TRY(pumice::bench::check(given));
        PUMICE_ASSIGN(auto work, pumice::bench::WorkFolder::create(pumice::abi::text_or_empty(given.work_folder)));
        pumice::bench::Run run{.given = given, .work = std::move(work)};
        PUMICE_ASSIGN(const std::string text, run.all());
        *json = pumice::abi::text_to_caller(text);
        return {};
    });
}

}  // extern "C"
