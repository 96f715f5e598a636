#include "host/process.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <stdexcept>

namespace pumice::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
    std::array<int, 2> ends{-1, -1};
    Pipe() {
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    }
    ~Pipe() {
        close_end(0);
        close_end(1);
    }
    void close_end(int i) {
        if (ends[i] >= 0) ::close(ends[i]);
        ends[i] = -1;
    }
};

std::vector<std::string> environment_of(const Run& run) {
    std::map<std::string, std::string> all = run.environment;
    for (const char* name :
         {"PATH", "VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_LAYER_PATH", "LD_LIBRARY_PATH", "TMPDIR", "ASAN_OPTIONS"})
        if (const char* value = std::getenv(name)) all.emplace(name, value);
    std::vector<std::string> lines;
    for (const auto& [name, value] : all) lines.push_back(name + "=" + value);
    return lines;
}

std::vector<char*> pointers(std::vector<std::string>& lines) {
    std::vector<char*> all;
    for (std::string& line : lines) all.push_back(line.data());
    all.push_back(nullptr);
    return all;
}

/// In the child, after the fork: what fails here ends it with 127.
[[noreturn]] void start(const Run& run, char** arguments, char** environment, const Pipe& out, const Pipe& err) {
    const int file = run.out.empty() ? out.ends[1] : ::open(run.out.c_str(), O_WRONLY | O_CLOEXEC);
    ::dup2(file, 1);
    ::dup2(err.ends[1], 2);
    if (run.file_size_limit) {
        const rlimit limit{*run.file_size_limit, *run.file_size_limit};
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(127);
    }
    if (!run.folder.empty() && ::chdir(run.folder.c_str()) != 0) ::_exit(127);
    // Root may still read and pass everywhere, the program's own folder included, but no longer write.
    if (run.unprivileged && ::geteuid() == 0 && ::prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) != 0) ::_exit(127);
    ::execve(arguments[0], arguments, environment);
    ::_exit(127);
}

/// Reads what comes; false at the end.
bool take(int from, std::string& text) {
    std::array<char, 4096> buffer;
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got > 0) text.append(buffer.data(), static_cast<std::size_t>(got));
    return got > 0 || (got < 0 && errno == EINTR);
}

}  // namespace

Finished run(const Run& wanted) {
    std::vector<std::string> arguments = wanted.arguments, environment = environment_of(wanted);
    arguments.insert(arguments.begin(), PUMICE_PROGRAM);
    std::vector<char*> argv = pointers(arguments), envp = pointers(environment);
    Pipe out, err;
    const pid_t child = ::fork();
    if (child < 0) throw std::runtime_error("no process");
    if (child == 0) start(wanted, argv.data(), envp.data(), out, err);
    out.close_end(1);
    err.close_end(1);

    Finished finished;
    std::optional<Clock::time_point> interrupted;
    std::array<pollfd, 2> open = {pollfd{out.ends[0], POLLIN, 0}, pollfd{err.ends[0], POLLIN, 0}};
    while (open[0].fd >= 0 || open[1].fd >= 0) {
        if (::poll(open.data(), open.size(), -1) < 0) continue;
        for (std::size_t i = 0; i < open.size(); ++i)
            if (open[i].fd >= 0 && open[i].revents && !take(open[i].fd, i == 0 ? finished.out : finished.err))
                open[i].fd = -1;
        const auto said = [&](const std::string& text) { return finished.err.find(text) != std::string::npos; };
        if (!wanted.interrupt_after.empty() && !interrupted && said(wanted.interrupt_after)) {
            ::kill(child, wanted.signal);
            interrupted = Clock::now();
        }
        if (interrupted && finished.seconds_to_cancel < 0 && said("pumice: cancelled\n"))
            finished.seconds_to_cancel = std::chrono::duration<double>(Clock::now() - *interrupted).count();
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    finished.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return finished;
}

}  // namespace pumice::test
