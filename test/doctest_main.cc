// main() of the doctest programs. Run by hand it is doctest's own. With DOCTEST_TAP=1, as `make check`
// sets it, every test case is also reported as one line of TAP (Test Anything Protocol), so that the
// build counts test cases and not programs, and the exit status says only whether the run itself went
// to its end: a crash or a sanitizer's report is an error of its own.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

// UCX 1.13 loses some bytes when the shared memory of a peer is gone before it connects to it
// (uct_mm_ep_t's init): not ours to free.
extern "C" [[gnu::visibility("default")]] const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libuct.so\n"; }

namespace {

/// With BRIEF_CHECK=yes no more are run: enough to see that a program was built right.
constexpr int kBriefCases = 60;

class TapReporter : public doctest::IReporter {
public:
    explicit TapReporter(const doctest::ContextOptions&) {}

    void test_run_start() override { std::printf("TAP version 13\n"); }
    void test_run_end(const doctest::TestRunStats&) override {
        std::printf("1..%d\n", count_);
        std::fflush(stdout);
    }
    void test_case_start(const doctest::TestCaseData& test) override {
        name_ = describe(test);
        std::printf("# %s\n", name_.c_str());  // names the one that hangs or crashes
        std::fflush(stdout);
    }
    void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
        report(stats.testCaseSuccess, stats.seconds);
    }
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_exception(const doctest::TestCaseException&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData&) override {}
    void log_message(const doctest::MessageData&) override {}
    void report_query(const doctest::QueryData&) override {}
    void test_case_skipped(const doctest::TestCaseData&) override {}

private:
    // '#' begins a directive in TAP, so it cannot be part of a name.
    static std::string describe(const doctest::TestCaseData& test) {
        std::string name = test.m_name;
        for (char& c : name) {
            if (c == '#' || c == '\n') c = ' ';
        }
        return name;
    }

    void report(bool success, double seconds) {
        std::printf("%s %d - %s (%.3f s)\n", success ? "ok" : "not ok", ++count_, name_.c_str(),
                    seconds);
        std::fflush(stdout);
    }

    int count_ = 0;
    std::string name_;
};

REGISTER_REPORTER("tap", 1, TapReporter);

}  // namespace

int main(int argc, char** argv) {
    const char* tap = std::getenv("DOCTEST_TAP");
    const bool as_tap = tap != nullptr && *tap == '1';
    doctest::Context context;
    if (as_tap) {
        context.setOption("reporters", "console,tap");
        context.setOption("no-colors", true);
        const char* brief = std::getenv("BRIEF_CHECK");
        if (brief != nullptr && std::string(brief) == "yes") context.setOption("last", kBriefCases);
    }
    context.applyCommandLine(argc, argv);
    const int status = context.run();
    return as_tap ? EXIT_SUCCESS : status;
}
