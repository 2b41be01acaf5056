# payagent: `make` prints what there is to do.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
GO ?= go
BIN := build
PKGS := ./...
export CGO_ENABLED ?= 1

.DEFAULT_GOAL := help
.PHONY: lab-service help demo demo-fleet test setup build size size-all vet lint race sim bench compare fuzz docs kill soak clean release reproducible cross lab cgo clib samples deb rpm lab-packages lab-windows vulncheck

help: ## 显示帮助 print this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: build ## 演示：模拟平台、收费窗口、自助机 run the pretend world and the agent on loopback
	@$(BIN)/paysim demo

demo-fleet: build ## 机群演示：20 台模拟收费机、消息服务器、控制台 twenty pretend tills, a broker and the console on loopback
	@$(BIN)/paysim fleet

setup: ## 安装测试所需的系统软件包 install what the tests need (Debian packages)
	@./.ci/setup

build: ## 编译 build the programs into build/
	@./.ci/build $(BIN) payagent payfleet paysim

cgo: ## 编译含 karalabe/hid 的版本（需要 C 编译器） build/cgo/payagent: with karalabe/hid in it, needs a C compiler
	@HID=1 ./.ci/build $(BIN)/cgo payagent

size: ## 程序大小上限 the shipped program on both boards and the largest of all, against the limit
	@./.ci/size $(BIN)/size

size-all: ## 全部十个程序的大小 the programs of all machines, with and without karalabe/hid (compilers as for make cross)
	@./.ci/size $(BIN)/size all

release: ## 发布：VERSION=1.4.0 全部平台、安装包、校验和、SBOM、签名 a release in build/release, signed where SIGN_* name keys
	@./.ci/release '$(VERSION)'

deb: ## Debian 安装包：VERSION=1.4.0 the packages of Debian alone
	@./.ci/release '$(VERSION)' deb

rpm: ## RPM 安装包：VERSION=1.4.0 the RPM packages alone
	@./.ci/release '$(VERSION)' rpm

reproducible: ## 两次发布逐字节比较 a release made twice in two folders, compared byte by byte
	@./.ci/reproducible

vulncheck: ## 已知漏洞扫描，发布前执行：DB=目录或网址 known vulnerabilities in what is shipped, before a release
	@./.ci/vulncheck '$(DB)'

clib: ## C 动态库（需要 mingw-w64） build/clib: payagent.dll 32 and 64 bit, libpayagent.so; checked, and run under wine where it is
	@./agent/door/clib/build

samples: ## 全部可编译的示例（另需 mono-mcs、fp-compiler） every sample that Debian has a compiler for, against a running agent
	$(GO) test -count=1 -v -timeout 20m ./install/samples -args -all

vet: ## 静态检查 gofmt, go vet, no half-done merge
	@! git grep -nIE '^(<<<<<<<|>>>>>>>) ' || { echo "a merge was left half-done"; exit 1; }
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet $(PKGS)

lint: vet size ## 同 vet，另查其他系统能否编译及大小 vet, that it builds for the other systems, and its size
	GOOS=windows CGO_ENABLED=0 $(GO) vet ./agent/cmd/payagent ./devices/... ./queue/... ./uplink/... ./platforms/...
	TARGET=linux/arm ./.ci/build $(BIN)/size/arm payagent

# Three packages at once, since many of them mostly wait. The simulation decides
# in one goroutine: it goes without the race detector, which would make it ten
# times as slow, and a short run with it; make sim runs twice as many schedules,
# make kill more kills.
race:
	$(GO) test -race -p 3 -timeout 20m $$($(GO) list $(PKGS) | grep -v '/agent/sim$$')
	$(GO) test -v -timeout 20m ./agent/sim -schedules=10000 | grep -vE '^(=== |    --- PASS|        ---)'
	$(GO) test -race -timeout 20m ./agent/sim -run 'TestSchedules' -schedules=300

test: setup lint race ## 全部测试（含安装所需软件包） everything that must pass, with the set-up it needs

sim: ## 确定性模拟：SEED=n 重放一个 the simulation alone; SEED=n replays one, SCHEDULES=n runs more
	$(GO) test ./agent/sim -count=1 -v -timeout 60m $(if $(SEED),-run TestReplay -seed=$(SEED)) $(if $(SCHEDULES),-run TestSchedules -schedules=$(SCHEDULES))

kill: ## kill -9 测试：ROUNDS=n kill the real program ROUNDS times under load
	$(GO) test ./agent/cmd/payagent -run TestKill -count=1 -v -timeout 60m -rounds=$(or $(ROUNDS),200)
	$(GO) test ./agent -run 'TestKilledBetweenSteps$$|TestHostileBroker|TestPlatformsBehindWaysOut' -every-step -count=1 -v -timeout 60m

lab: ## 设备实验室（虚拟机）：RUN=正则只跑一部分 scanners as USB gadgets in a VM, the real agent takes payments from them
	@./install/lab/run $(if $(RUN),'$(RUN)')

lab-service: ## 服务实验室（虚拟机，真 systemd）：RUN=正则 the service in a VM with real systemd: killed, hung, upgraded, power cut
	@./install/lab/service/run $(if $(RUN),'$(RUN)')

lab-packages: ## 安装包实验：lintian、安装、升级、卸载、清除 the packages in a Debian of their own (root)
	@./install/lab/packages

lab-windows: ## Windows 安装包在 wine 里：RELEASE=目录 the zip and the set-up for Windows under wine, with payments (root)
	@./install/lab/windows $(if $(RELEASE),'$(RELEASE)')

cross: ## 各平台编译，ARM 模拟运行 the drivers for every platform with and without cgo, their tests on emulated ARM
	@./install/lab/cross

bench: ## 性能 figures as ratios, see docs/benchmarks.md
	$(GO) test -run '^$$' -bench Scan -benchtime 300x ./agent/bench
	$(GO) test -run '^$$' -bench Overhead -benchtime 30x ./agent/bench
	$(GO) test -run '^$$' -bench Process -benchtime 5x ./agent/bench
	$(GO) test -run '^$$' -bench Fleet -benchtime 300x ./agent/bench
	$(GO) test -run '^$$' -bench Backlog -benchtime 3x ./agent/bench
	$(GO) test -run '^$$' -bench . ./queue/bolt
	$(GO) test -run '^$$' -bench Relay -benchtime 200x ./agent

soak: ## 千台终端压力：BOXES=n PROCESSES=n 1,000 boxes and 20 real processes on one mosquitto that is killed five times
	$(GO) test -tags soak -count=1 -v -timeout 60m ./agent/bench -run TestSoak $(if $(BOXES),-boxes=$(BOXES)) $(if $(PROCESSES),-processes=$(PROCESSES))

compare: ## 与其他存储比较 durable append against other stores (a module of its own)
	cd queue/compare && $(GO) run .

fuzz: ## 模糊测试：TIME=60s fuzz whatever parses bytes
	@./.ci/fuzz $(or $(TIME),60s)

docs: ## 重新生成文档 generate the generated documents anew
	$(GO) generate ./...

clean: ## 删除编译结果 remove build/
	rm -rf $(BIN)
