// pumice_verify LIBRARY FROM FOLDER DEVICE [NAME=FILE...]: checks a plugin against what the SDK's headers say, and
// writes what comes of it to descriptor 3, a JSON object a line: {"begin": 4, "check": NAME} before a check, {"end": 4,
// "why": TEXT, "not_run": TEXT} after it, {"plugins": [...]} once they are known, {"done": true} at the end. Checks
// before FROM are not run: when one crashes, this program is started again behind it (plugins/verify.cpp). In FOLDER it
// writes what files it needs; DEVICE is "" for the best, "none" for none; NAME=FILE are suite.hpp's GivenFile.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "plugins/check.hpp"
#include "plugins/child.hpp"
#include "verify/suite.hpp"
#include "vulkan/instance.hpp"

namespace pumice::verify {
namespace {

using Json = nlohmann::ordered_json;

void write_line(const Json& json) {
    const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    for (std::size_t at = 0; at < text.size();) {
        const ssize_t put = ::write(plugins::kReport, text.data() + at, text.size() - at);
        if (put < 0 && errno != EINTR) ::_exit(3);
        if (put > 0) at += static_cast<std::size_t>(put);
    }
}

class Runner {
public:
    explicit Runner(int from) : from_(from) {}
    /// Whether it passed; true for one that is left out.
    bool run(const Check& check) { return run(check, next_ >= from_); }
    /// Runs it in any case: what comes after needs it.
    bool need(const Check& check) { return run(check, true); }

private:
    bool run(const Check& check, bool wanted) {
        const int index = next_++;
        if (!wanted) return true;
        if (index >= from_) write_line({{"begin", index}, {"check", check.name}});
        Why why, not_run;
        std::string thrown;
        plugins::call_plugin(thrown, [&] {
            if (check.not_run) not_run = check.not_run();
            if (not_run.empty()) why = check.run();
            return PUMICE_SDK_OK;
        });
        if (!thrown.empty()) why = thrown;
        if (index >= from_)
            write_line({{"end", index}, {"why", plugins::one_line(why)}, {"not_run", plugins::one_line(not_run)}});
        return why.empty();
    }
    int from_, next_ = 0;
};

/// A file in memory in place of both outputs.
int catch_output() {
    const int file = ::memfd_create("output", MFD_CLOEXEC);
    if (file < 0) return -1;
    ::dup2(file, 1);
    ::dup2(file, 2);
    return file;
}

Why printed(int file) {
    struct stat s {};
    std::fflush(nullptr);
    if (file < 0 || ::fstat(file, &s) != 0 || s.st_size == 0) return "";
    char text[61] = {};
    const ssize_t got = ::pread(file, text, sizeof(text) - 1, 0);
    return fmt::format("it printed \"{}\"; pumice.log/1 is for that",
                       plugins::one_line({text, static_cast<std::size_t>(std::max<ssize_t>(got, 0))}));
}

Why open(Subject& subject) {
    PUMICE_VERIFY_ASSIGN(subject.library, plugins::Library::open(subject.file));
    return "";
}

Why describe(Subject& subject) {
    PUMICE_VERIFY_ASSIGN(subject.plugins, plugins::examine(subject.library));
    return "";
}

/// Whether one of the plugins is of a kind whose host has a device.
bool wants_device(const Subject& subject) {
    for (const plugins::Description& plugin : subject.plugins)
        for (const std::string& id : plugin.extensions())
            for (const Kind& kind : kKinds)
                if (kind.on_device && id == kind.extension) return true;
    return false;
}

/// What drivers print and leave open is not the plugin's.
Why open_device_quietly(Subject& subject, const std::string& wanted, ProcessState& state,
                        const std::shared_ptr<Complaints>& complaints) {
    const int out = ::dup(1), err = ::dup(2), nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, 1);
    ::dup2(nowhere, 2);
    open_device(subject, wanted, complaints);
    state.expect_driver();
    std::fflush(nullptr);
    ::dup2(out, 1);
    ::dup2(err, 2);
    for (const int file : {out, err, nowhere}) ::close(file);
    return subject.device.device ? "" : subject.no_device;
}

void run_all(Subject subject, const std::string& device, int from) {
    const int output = catch_output();
    ProcessState before;
    const auto complaints = std::make_shared<Complaints>();
    Runner runner(from);
    if (!runner.need({"library: loads, with an entry of this interface", [&] { return open(subject); }}) ||
        !runner.need({"library: plugins, extensions and parameters are described", [&] { return describe(subject); }}))
        return write_line({{"done", true}});
    Json list = Json::array();
    for (const plugins::Description& each : subject.plugins) list.push_back(plugins::to_json(each));
    write_line({{"plugins", std::move(list)}});
    for (const Check& check : library_checks(subject)) runner.run(check);
    // Before there is a device, whose driver has memory and threads of its own.
    for (std::uint32_t i = 0; i < subject.plugins.size(); ++i)
        for (const Check& check : plugin_checks({subject, i})) runner.run(check);
    if (wants_device(subject)) {
        // One that was asked for must be there.
        const bool must = !device.empty() && device != "none";
        const auto open_it = [&] { return open_device_quietly(subject, device, before, complaints); };
        runner.need({"library: the device opens", must ? open_it : std::function<Why()>([] { return Why(); }),
                     must ? std::function<Why()>() : open_it});
    }
    for (std::uint32_t i = 0; i < subject.plugins.size(); ++i)
        for (const Kind& kind : kKinds)
            for (const Check& check : kind.checks({subject, i})) runner.run(check);
    if (subject.device.device)
        runner.run({"library: the validation layer has nothing to say", [&] { return complaints->first(); },
                    [] { return Instance::validation_available() ? Why() : Why("it is not installed"); }});
    runner.run({"library: prints nothing", [&] { return printed(output); }});
    runner.run({"library: after deinit the process is as it was", [&] {
                    subject.library.reset();
                    return before.changed();
                }});
    write_line({{"done", true}});
}

}  // namespace
}  // namespace pumice::verify

int main(int argc, char** argv) {
    int from = 0;
    if (argc < 5 || std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), from).ec != std::errc()) return 2;
    pumice::verify::Subject subject;
    subject.file = argv[1];
    subject.folder = argv[3];
    for (int i = 5; i < argc; ++i) {
        const std::string given = argv[i];
        const std::size_t cut = given.find('=');
        if (cut == std::string::npos) return 2;
        subject.given.push_back({given.substr(0, cut), given.substr(cut + 1)});
    }
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);  // a crash here is expected
    prctl(PR_SET_PDEATHSIG, 9);     // and nobody wants the answer when the asker is gone
    pumice::verify::run_all(std::move(subject), argv[4], from);
    return 0;
}
