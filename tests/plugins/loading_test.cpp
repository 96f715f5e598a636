// A folder of bad plugins, and what each does to the host.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <map>

#include <fmt/format.h>

#include "plugins/registry_fixture.hpp"

using namespace pumice;
using namespace pumice::test;
using plugins::Found;
namespace fs = std::filesystem;

namespace {

/// A folder with these of the bad plugins.
class Folder {
public:
    explicit Folder(const std::vector<std::string>& faults) {
        for (const std::string& fault : faults) add(fault);
    }
    void add(const std::string& fault) {
        fs::copy_file(fs::path(PUMICE_BAD_PLUGINS) / (fault + ".so"), file(fault));
    }
    fs::path file(const std::string& fault) const { return folder_.path() / (fault + ".so"); }
    plugins::RegistryOptions options() const {
        plugins::RegistryOptions options = builtin_options();
        options.places = {{"user", folder_.path()}};
        options.state_folder = state_.path();
        options.probe_seconds = 2;
        return options;
    }
    const fs::path& path() const { return folder_.path(); }
    const fs::path& state() const { return state_.path(); }

private:
    TemporaryFolder folder_, state_;
};

const Found& found(const plugins::Registry& registry, const fs::path& file) {
    const auto& all = registry.plugins();
    const auto at = std::find_if(all.begin(), all.end(), [&](const Found& f) { return f.file == file; });
    REQUIRE(at != all.end());
    return *at;
}

/// Those that come with Pumice.
std::size_t builtin_count(const plugins::Registry& registry) {
    const auto& all = registry.plugins();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const Found& f) { return f.builtin; }));
}

bool has(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

TEST_CASE("a broken plugin is listed with the reason, left out, and the host lives") {
    const std::map<std::string, std::string> reasons = {
        {"no_entry", "it exports no pumice_plugin_entry"},
        {"null_entry", "its entry lacks a function"},
        {"other_abi", "it was built for plugin ABI 99.7, this is 1.0"},
        {"crash_in_init", "it crashed when it was tried out (Segmentation fault)"},
        {"throw_in_init", "its init failed: it threw an exception: not today"},
        {"exit_in_init", "it ended the program when it was tried out (exit status 0)"},
        {"hang_in_init", "it did not answer within 2 s when it was tried out"},
        {"fail_in_init", "its init failed: it gave status 6 and no reason"},
        {"crash_in_deinit", "it crashed when it was tried out (Segmentation fault)"},
        {"no_factory", "it has no pumice.plugin-factory/1"},
        {"null_run", "its pumice.sampler/1 lacks a function"},
        {"bad_id", "a plugin's id is none: use letters, digits, '.', '-' and '_'"},
    };
    Folder folder({});
    for (const auto& [fault, reason] : reasons) folder.add(fault);
    std::ofstream(folder.path() / "text.so") << "this is no library";
    std::ofstream(folder.path() / ".hidden.so") << "this one is not looked at";
    folder.add("none");

    const auto registry = make_registry(folder.options());
    for (const auto& [fault, reason] : reasons) {
        INFO(fault);
        const Found plugin = found(*registry, folder.file(fault));
        CHECK(plugin.state == Found::State::broken);
        CHECK(plugin.reason == reason);
        CHECK_FALSE(has(registry->sampler_names(), "test_" + fault));
    }
    CHECK(found(*registry, folder.path() / "text.so").reason.rfind("it cannot be loaded: ", 0) == 0);
    CHECK(registry->plugins().size() == reasons.size() + 2 + builtin_count(*registry));  // text.so and none.so too

    // The sound one among them works.
    CHECK(found(*registry, folder.file("none")).state == Found::State::on);
    const auto sampler = make_sampler(*registry, "test_none", {"sampler.amount=1", "sampler.choice=one"});
    CHECK(run_plainly(*sampler, {3, 2, 1, 0}));

    // The verdicts are kept: the next start, with no program to try plugins out, gives the same.
    auto again = folder.options();
    again.probe = "/no/such/program";
    const auto second = make_registry(again);
    CHECK(second->json() == registry->json());
    // A changed file is looked at again.
    fs::remove(folder.file("no_entry"));
    fs::copy_file(folder.file("none"), folder.file("no_entry"));
    CHECK(found(*make_registry(again), folder.file("no_entry")).reason.rfind("cannot run /no/such/program", 0) == 0);
}

TEST_CASE("an error of a plugin while it runs ends that run, with its name, and the engine goes on") {
    Folder folder({"none", "throw_in_step", "fail_in_step", "wrong_handle", "uncond_unasked", "swallow", "leak", "write_past",
                   "rise"});
    const auto registry = make_registry(folder.options());
    const std::vector<float> sigmas{4, 3, 2, 1, 0};
    const auto error_of = [&](const std::string& fault) {
        const auto sampler = make_sampler(*registry, "test_" + fault);
        const Status status = run_plainly(*sampler, sigmas);
        REQUIRE_FALSE(status);
        return status.error();
    };
    CHECK(error_of("throw_in_step").message ==
          "plugin test.throw_in_step-00: sampler test_throw_in_step: it threw an exception: no more");
    CHECK(error_of("fail_in_step").code == Code::unsupported);
    CHECK(error_of("fail_in_step").message ==
          "plugin test.fail_in_step-00: sampler test_fail_in_step: the second step is too much");
    CHECK(error_of("wrong_handle").message ==
          "plugin test.wrong_handle-00: pumice.tensor/1: there is no tensor 77");
    CHECK(error_of("uncond_unasked").message.find("into tensors 2 and 78, by a sampler without its flag") !=
          std::string::npos);
    // What the host refused cannot be kept from it.
    const auto swallow = make_sampler(*registry, "test_swallow");
    const Status cancelled = run_plainly(*swallow, sigmas, [](std::uint32_t, std::uint32_t) -> Status {
        return Error{Code::cancelled, "cancelled"};
    });
    CHECK(cancelled.error().code == Code::cancelled);

    // What it leaves behind is released (run_plainly checks), and said.
    std::vector<std::string> lines;
    auto leak = registry->make_sampler("test_leak", "normal", {}, Log::to([&](LogLevel, std::string_view line) {
                                           lines.emplace_back(line);
                                       }));
    REQUIRE(leak);
    CHECK(run_plainly(**leak, sigmas));
    CHECK(lines == std::vector<std::string>{
                       "plugin test.leak-00: sampler test_leak left 1 tensors behind, which were released"});

    const SigmaTable table = SigmaTable::scaled_linear();
    CHECK(registry->make_sigmas("test_write_past", {}, table, 5).error().message ==
          "plugin test.write_past-00: schedule test_write_past wrote past the end of its output");
    const auto rising = make_sampler(*registry, "euler", {}, "test_rise");
    CHECK(rising->sigmas(table, 5).error().message ==
          "plugin test.rise-00: schedule test_rise: sigma 0 is 5: sigmas must be positive and fall, only the last may be "
          "0");

    CHECK(run_plainly(*make_sampler(*registry, "test_none"), sigmas));
    CHECK(run_plainly(*make_sampler(*registry, "euler"), sigmas));
}

TEST_CASE("after a crash the next start names the plugin and leaves it out until it is enabled") {
    for (const std::string fault : {"crash_in_step", "abort_in_step", "hang_in_step"}) {
        INFO(fault);
        Folder folder({fault, "none"});
        make_registry(folder.options());  // the verdicts, so that the child has little to do
        const pid_t child = ::fork();
        if (child == 0) {
            std::signal(SIGSEGV, SIG_DFL);
            std::signal(SIGABRT, SIG_DFL);
            const auto registry = plugins::Registry::create(folder.options());
            auto sampler = (*registry)->make_sampler("test_" + fault, "normal", {}, {});
            if (fault == "hang_in_step") ::alarm(2);  // as a user who loses patience
            CpuTensorMath math(4, [](std::span<float>) { return Status{}; });
            const Denoise same = [](const Latent&, double, const Latent&) { return Status{}; };
            const Latent x = *math.create_latent();
            const std::vector<float> sigmas{3, 2, 1, 0};
            (void)(*sampler)->run({.math = math, .denoise = same, .sigmas = sigmas}, x);
            ::_exit(0);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status));

        const std::string id = "test." + fault + "-00";
        const auto next = make_registry(folder.options());
        CHECK(next->crashed() == std::vector<std::string>{id});
        CHECK(found(*next, folder.file(fault)).state == Found::State::crashed);
        CHECK_FALSE(has(next->sampler_names(), "test_" + fault));
        CHECK(has(next->sampler_names(), "test_none"));
        // It stays so, without being said again.
        const auto later = make_registry(folder.options());
        CHECK(later->crashed().empty());
        CHECK(found(*later, folder.file(fault)).state == Found::State::crashed);
        REQUIRE(later->set_enabled(id, true));
        CHECK(found(*make_registry(folder.options()), folder.file(fault)).state == Found::State::on);
    }
}

TEST_CASE("an error in the host's own code is not the plugin's") {
    Folder folder({"none"});
    make_registry(folder.options());
    const pid_t child = ::fork();
    if (child == 0) {
        std::signal(SIGABRT, SIG_DFL);
        const auto registry = plugins::Registry::create(folder.options());
        auto sampler = (*registry)->make_sampler("test_none", "normal", {}, {});
        CpuTensorMath math(4, [](std::span<float>) { return Status{}; });
        const Denoise crash = [](const Latent&, double, const Latent&) -> Status { std::abort(); };
        const Latent x = *math.create_latent();
        const std::vector<float> sigmas{3, 2, 1, 0};
        (void)(*sampler)->run({.math = math, .denoise = crash, .sigmas = sigmas}, x);
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    const auto next = make_registry(folder.options());
    CHECK(next->crashed().empty());
    CHECK(found(*next, folder.file("none")).state == Found::State::on);
}

TEST_CASE("plugins are turned off and on; safe mode has only those that come with Pumice") {
    Folder folder({"none"});
    const auto registry = make_registry(folder.options());
    REQUIRE(registry->set_enabled("test.none-00", false));
    const auto without = make_registry(folder.options());
    CHECK(found(*without, folder.file("none")).state == Found::State::off);
    CHECK_FALSE(has(without->sampler_names(), "test_none"));
    REQUIRE(without->set_enabled("test.none-00", true));
    CHECK(has(make_registry(folder.options())->sampler_names(), "test_none"));

    CHECK(registry->set_enabled("pumice.samplers", false).error().message ==
          "pumice.samplers comes with Pumice and cannot be disabled");
    CHECK(registry->set_enabled("none.such", true).error().code == Code::not_found);

    auto safe = folder.options();
    safe.safe_mode = true;
    const auto only = make_registry(safe);
    CHECK(only->plugins().size() == builtin_count(*only));
    CHECK(builtin_count(*only) > 0);
}

TEST_CASE("of two plugins with one id the first place counts") {
    Folder first({"none"}), second({"none"});
    auto options = first.options();
    options.places = {{"one", first.path()}, {"two", second.path()}};
    const auto registry = make_registry(options);
    CHECK(found(*registry, first.file("none")).state == Found::State::on);
    CHECK(found(*registry, second.file("none")).state == Found::State::hidden);
    CHECK(found(*registry, second.file("none")).reason == first.file("none").string() + " has the same id and comes first");
}

TEST_CASE("a plugin that exports the host's names does not take them over") {
    Folder folder({"clash"});
    const auto registry = make_registry(folder.options());
    CHECK(run_plainly(*make_sampler(*registry, "test_clash"), {3, 2, 1, 0}));
    CHECK(std::rand() >= 0);  // not the plugin's, which ends the program
}

TEST_CASE("a plugin that lets go of its library while it is used, or whose file goes, stays where it is") {
    Folder folder({"unload_self", "none"});
    const auto registry = make_registry(folder.options());
    const auto sampler = make_sampler(*registry, "test_unload_self");
    CHECK(run_plainly(*sampler, {4, 3, 2, 1, 0}));
    CHECK(run_plainly(*sampler, {4, 3, 2, 1, 0}));
    const auto none = make_sampler(*registry, "test_none");
    REQUIRE(fs::remove(folder.file("none")));
    folder.add("rise");
    fs::rename(folder.file("rise"), folder.file("none"));  // as an update puts it there
    CHECK(run_plainly(*none, {4, 3, 2, 1, 0}));
    CHECK(has(make_registry(folder.options())->sampler_names(), "test_rise"));
}

TEST_CASE("verdicts, what is off and marks that are damaged count as none") {
    Folder folder({"none", "no_entry"});
    const auto sound = make_registry(folder.options())->json();
    const fs::path verdicts = folder.state() / "plugin-verdicts.json", off = folder.state() / "plugins-off.json";
    std::ifstream in(verdicts);
    const std::string good{std::istreambuf_iterator<char>(in), {}};
    REQUIRE(good.find("test.none-00") != std::string::npos);
    const auto put = [](const fs::path& file, const std::string& text) {
        fs::remove_all(file);
        std::ofstream(file, std::ios::binary) << text;
    };
    const auto with = [&](std::string from, std::string to) {
        std::string text = good;
        const std::size_t at = text.find(from);
        REQUIRE(at != std::string::npos);
        return text.replace(at, from.size(), to);
    };
    std::vector<std::string> damaged = {
        "", "{", "[]", "null", "3", std::string(100000, '['), std::string("\0\xff\xfe", 3), good.substr(0, good.size() / 2),
        with("\"made\": ", "\"made\": 3, \"x\": "), with("\"size\": ", "\"size\": -"),
        with("\"libraries\"", "\"books\""), with("\"sha256\": ", "\"sha256\": {}, \"x\": "),
        with("\"plugins\": [", "\"plugins\": [{}, "), with("\"type\": \"float\"", "\"type\": \"flout\""),
        with("\"default\": 0.5", "\"default\": 1e300"), with("\"one\"", "1"), with("\"default\": 1.0", "\"default\": 2"),
        with("\"reason\": \"it exports no", "\"reason\": 7, \"x\": \"it exports no")};
    for (std::size_t cut = 1; cut < good.size(); cut += 97) damaged.push_back(good.substr(0, cut));
    for (const std::string& text : damaged) {
        INFO(text.substr(0, 300));
        put(verdicts, text);
        CHECK(make_registry(folder.options())->json() == sound);
    }
    fs::remove_all(verdicts);
    fs::create_directory(verdicts);  // not a file at all: nothing is kept
    CHECK(make_registry(folder.options())->json() == sound);
    fs::remove_all(verdicts);

    for (const std::string text : {"{", "[]", "{\"test.none-00\": 3}", "{\"test.none-00\": null}", "{\"\\u001b[2J\": {}}",
                                   "{\"other\": {\"by\": 7, \"reason\": []}}"}) {
        INFO(text);
        put(off, text);
        CHECK(make_registry(folder.options())->json() == sound);
    }
    put(off, "{\"test.none-00\": {}}");
    CHECK(found(*make_registry(folder.options()), folder.file("none")).state == Found::State::off);
    fs::remove(off);

    const fs::path mark = folder.state() / "plugin-running-xxxxxx";
    for (const std::string& text : {std::string(), std::string("1test.none-00"), std::string(128, '1'), std::string(128, '\0'),
                                   "1\x1b[2J" + std::string(124, '\0'), "0test.none-00" + std::string(115, '\0')}) {
        put(mark, text);
        const auto registry = make_registry(folder.options());
        CHECK(registry->crashed().empty());
        CHECK(registry->json() == sound);
        CHECK_FALSE(fs::exists(mark));
    }
    REQUIRE(::mkfifo(mark.c_str(), 0600) == 0);  // opening one must not wait for a writer
    CHECK(make_registry(folder.options())->crashed().empty());
    fs::remove(mark);
    put(mark, "1test.none-00" + std::string(115, '\0'));
    CHECK(make_registry(folder.options())->crashed() == std::vector<std::string>{"test.none-00"});
}

TEST_CASE("a verdict that is older than what the library holds does no harm") {
    Folder folder({"none"});
    make_registry(folder.options());
    // The kept description tells of a second sampler and schedule that the library does not have.
    const fs::path file = folder.state() / "plugin-verdicts.json";
    auto json = nlohmann::ordered_json::parse(std::ifstream(file));
    auto& plugin = json["libraries"][folder.file("none").string()]["plugins"][0];
    for (const char* list : {"samplers", "schedules"}) {
        plugin[list].push_back(plugin[list][0]);
        plugin[list][1]["name"] = "test_more";
    }
    std::ofstream(file) << json;
    const auto registry = make_registry(folder.options());
    REQUIRE(has(registry->sampler_names(), "test_more"));
    const std::string wanted =
        "plugin test.none-00: it no longer has what it had when it was tried out; run pumice plugins list --probe";
    CHECK(run_plainly(*make_sampler(*registry, "test_more"), {2, 1, 0}).error().message == wanted);
    CHECK(registry->make_sigmas("test_more", {}, SigmaTable::scaled_linear(), 5).error().message == wanted);
}

TEST_CASE("a sampler outlives the registry it came from") {
    Folder folder({"none"});
    auto registry = make_registry(folder.options());
    const auto sampler = make_sampler(*registry, "test_none");
    registry.reset();  // the library stays loaded while it is used
    CHECK(run_plainly(*sampler, {3, 2, 1, 0}));
}

TEST_CASE("fifty plugins cost little once their verdicts are there") {
    Folder folder({});
    std::ifstream in(fs::path(PUMICE_BAD_PLUGINS) / "none.so", std::ios::binary);
    const std::string whole{std::istreambuf_iterator<char>(in), {}};
    const std::size_t at = whole.find("test.none-00");
    REQUIRE(at != std::string::npos);
    for (int i = 0; i < 50; ++i) {
        std::string copy = whole;
        copy[at + 10] = static_cast<char>('0' + i / 10);
        copy[at + 11] = static_cast<char>('0' + i % 10);
        std::ofstream(folder.path() / fmt::format("p{}.so", i), std::ios::binary) << copy;
    }
    const auto all = make_registry(folder.options());
    CHECK(all->plugins().size() == 50 + builtin_count(*all));
    const auto seconds = [&](const plugins::RegistryOptions& options) {
        double least = 1e9;
        for (int i = 0; i < 5; ++i) {
            const auto begin = std::chrono::steady_clock::now();
            make_registry(options);
            least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        }
        return least;
    };
    auto none = folder.options();
    none.places.clear();
    const double with = seconds(folder.options()), without = seconds(none);
    WARN("a start with 50 plugins takes " << with * 1000 << " ms, with none " << without * 1000 << " ms");
    CHECK(with - without < 0.1);
}
