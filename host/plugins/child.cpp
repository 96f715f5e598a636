#include "plugins/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include <fmt/format.h>

extern char** environ;

namespace pumice::plugins {
namespace {

using Clock = std::chrono::steady_clock;

class Actions {
public:
    Actions() { posix_spawn_file_actions_init(&actions_); }
    ~Actions() { posix_spawn_file_actions_destroy(&actions_); }
    Actions(const Actions&) = delete;
    posix_spawn_file_actions_t* get() { return &actions_; }

private:
    posix_spawn_file_actions_t actions_;
};

class Attributes {
public:
    Attributes() {
        posix_spawnattr_init(&attributes_);
        // A process group of its own, so that what the plugin starts is ended with it; and no signal blocked.
        sigset_t none;
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setpgroup(&attributes_, 0);
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    }
    ~Attributes() { posix_spawnattr_destroy(&attributes_); }
    Attributes(const Attributes&) = delete;
    posix_spawnattr_t* get() { return &attributes_; }

private:
    posix_spawnattr_t attributes_;
};

struct Started {
    pid_t child = 0;
    int from = -1;  ///< the pipe's end
};

Result<Started> start(const Child& wanted) {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error{Code::io, "no pipe for the plugins' probe"};
    Actions actions;
    Attributes attributes;
    posix_spawn_file_actions_addopen(actions.get(), 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(actions.get(), 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(actions.get(), 2, "/dev/null", O_WRONLY, 0);
    // To a number above it first: the pipe's end may be kReport already, and dup2 to itself would keep O_CLOEXEC.
    const int high = ::fcntl(ends[1], F_DUPFD_CLOEXEC, kReport + 1);
    posix_spawn_file_actions_adddup2(actions.get(), high, kReport);
    std::vector<std::string> words = wanted.arguments;
    words.insert(words.begin(), wanted.program.string());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    Started started{0, ends[0]};
    const int error = ::posix_spawn(&started.child, arguments[0], actions.get(), attributes.get(), arguments.data(), environ);
    ::close(ends[1]);
    if (high >= 0) ::close(high);
    if (error == 0) return started;
    ::close(ends[0]);
    return Error{Code::io, fmt::format("cannot run {}, which tries plugins out: {}", words[0], std::strerror(error))};
}

/// Waits for the child's end; false at the deadline.
bool wait_for(pid_t child, int& status, Clock::time_point deadline) {
    for (;;) {
        const pid_t ended = ::waitpid(child, &status, WNOHANG);
        if (ended == child || (ended < 0 && errno != EINTR)) return true;
        if (Clock::now() >= deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

}  // namespace

Result<ChildEnd> run_child(const Child& wanted, const std::function<void(std::string_view)>& take) {
    PUMICE_ASSIGN(const Started started, start(wanted));
    const auto time = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(wanted.seconds));
    auto deadline = Clock::now() + time;
    ChildEnd end;
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        end.in_time = left > 0;
        if (!end.in_time) break;
        pollfd wait{started.from, POLLIN, 0};
        const int ready = ::poll(&wait, 1, static_cast<int>(left));
        if (ready < 0 && errno != EINTR) break;
        if (ready <= 0) continue;
        std::array<char, 65536> buffer;
        const ssize_t got = ::read(started.from, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        take({buffer.data(), static_cast<std::size_t>(got)});
        if (wanted.each) deadline = Clock::now() + time;
    }
    end.in_time = end.in_time && wait_for(started.child, end.status, deadline);
    ::kill(-started.child, SIGKILL);  // it, or whatever it left behind
    if (!end.in_time) {
        ::kill(started.child, SIGKILL);
        ::waitpid(started.child, &end.status, 0);
    }
    ::close(started.from);
    return end;
}

std::string end_text(int status) {
    if (!WIFSIGNALED(status)) return fmt::format("exit status {}", WEXITSTATUS(status));
    const char* name = ::strsignal(WTERMSIG(status));
    return name ? name : "a signal";
}

}  // namespace pumice::plugins
