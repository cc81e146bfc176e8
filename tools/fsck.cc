// `benchfs fsck`: checks the file system on all servers, and corrects it if it is told to. Options
// and exit status as of fsck(8).
#include <fmt/format.h>

#include <cstring>

#include "files.hpp"

namespace benchfs::tools {
namespace {

constexpr int kCorrected = 1, kLeft = 4, kNotChecked = 8;

struct FsckOptions {
  bool look = false, repair = false, json = false;
};

class FsckRun {
 public:
  FsckRun(Files& files, const FsckOptions& options) : files_(files), options_(options) {}

  int run() {
    struct benchfs_fsck_result result {};
    const auto each = [](const struct benchfs_fsck_finding* finding, void* self) {
      static_cast<FsckRun*>(self)->add(*finding);
    };
    if (benchfs_fsck(files_, options_.repair ? BENCHFS_FSCK_REPAIR : 0, each, this, &result) != 0) {
      print_error("fsck", benchfs_error());
      return kNotChecked;
    }
    const int servers = benchfs_server_count(files_);
    const std::uint64_t left = result.findings - result.corrected;
    if (options_.json) {
      put_out(fmt::format(
          "{{\n  \"servers\": {}, \"inodes\": {}, \"entries\": {}, \"data_files\": {},\n"
          "  \"findings\": [{}{}{}],\n"
          "  \"corrected\": {}, \"left\": {}, \"undecided\": {}\n}}\n",
          servers, result.inodes, result.entries, result.data_files, objects_.empty() ? "" : "\n",
          fmt::join(objects_, ",\n"), objects_.empty() ? "" : "\n  ", result.corrected, left,
          result.undecided));
    } else {
      put_out(fmt::format("{} servers, {} inodes, {} entries: {}\n", servers, result.inodes,
                          result.entries, verdict(result, left)));
    }
    int status = (result.corrected > 0 ? kCorrected : 0) | (left > 0 ? kLeft : 0);
    if (result.undecided > 0) {
      print_error("fsck", fmt::format("{} of it changed whenever it was looked at: run it again "
                                      "when less is renamed",
                                      result.undecided));
      status |= kNotChecked;
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      print_error("fsck", fmt::format("standard output: {}", std::strerror(errno)));
      status |= kNotChecked;
    }
    return status;
  }

 private:
  static std::string verdict(const struct benchfs_fsck_result& result, std::uint64_t left) {
    if (result.findings == 0) return result.undecided == 0 ? "clean" : "nothing found";
    return fmt::format("{} found, {} corrected, {} left", result.findings, result.corrected, left);
  }

  /// Lines as they come, an object for each at the end.
  void add(const struct benchfs_fsck_finding& finding) {
    if (options_.json) {
      objects_.push_back(fmt::format(
          "    {{\"kind\": \"{}\", \"server\": {}, \"inode\": {}, \"parent\": {}, \"name\": {}, "
          "\"text\": {}, \"corrected\": {}, \"outcome\": {}}}",
          finding.word, finding.server, finding.inode, finding.parent, json_string(finding.name),
          json_string(finding.text), finding.corrected != 0, json_string(finding.outcome)));
      return;
    }
    const std::string outcome = finding.outcome;
    put_out(fmt::format("server {}: {}{}{}\n", finding.server, shown(finding.text),
                        outcome.empty() ? "" : ": ", outcome));
  }

  Files& files_;
  FsckOptions options_;
  std::vector<std::string> objects_;
};

}  // namespace

Command make_fsck(CLI::App& benchfs) {
  auto options = std::make_shared<FsckOptions>();
  auto where = std::make_shared<Where>();
  CLI::App* app =
      benchfs.add_subcommand("fsck", "Check entries, inodes, link counts and data on all servers");
  app->group("Commands on files");
  auto* repair = app->add_flag("-y,--repair", options->repair, "Correct what is found");
  app->add_flag("-n,--no-change", options->look, "Only look (the default)")->excludes(repair);
  app->add_flag("--json", options->json, "For programs");
  add_where(*app, *where);
  app->footer(
      "Files may be in use meanwhile. An inode without a name gets one in /lost+found.\n"
      "Exit status, the sum of: 0 clean, 1 faults corrected, 4 faults left, 8 not (all) checked, "
      "as\n"
      "a server does not answer or things were changed all the time; 2 wrong usage.");
  return {app, false, [options, where](const std::vector<std::string>&) {
            const auto files = Files::connect("fsck", *where);
            if (files == nullptr) return kNotChecked;
            return FsckRun(*files, *options).run();
          }};
}

}  // namespace benchfs::tools
