//! The module around the statements: declarations, functions, the entry point and its phases.

use crate::choice::Choices;
use crate::float::helpers;
use crate::flow::Context;
use crate::generator::{Features, Function, Gen, Struct, Var};
use crate::program::Program;
use crate::shared::Shared;
use crate::tree::{Stmt, print};
use crate::ty::{Class, Scalar, Shape, Ty, U32};

/// Elements of the input arrays.
const WORDS: u32 = 37;
const FLOATS: u32 = 11;

/// A random module with so many expressions or a few more, and what to run it on.
pub(crate) fn program(choices: Choices<'_>, features: Features, nodes: usize) -> Program {
    let mut this = Gen::new(choices, features, nodes);
    let mut items = Vec::new();
    this.header(&mut items);
    this.structures(&mut items);
    let sides = this.choices.pick(&[[4, 1, 1], [1, 1, 1], [2, 3, 1], [8, 1, 1], [16, 1, 1], [33, 1, 1], [3, 2, 2]]);
    let lanes = sides.iter().product();
    let groups = [1 + this.choices.below(3) as u32, 1 + this.choices.below(2) as u32, 1];
    let element = this.globals(lanes, &mut items);
    for _ in 0..this.choices.below(4) {
        this.function(&mut items);
    }
    items.push(Stmt::Line("fn sync() { workgroupBarrier(); storageBarrier(); }".into()));
    let mut head = format!("@compute @workgroup_size({}, {}, {})", sides[0], sides[1], sides[2]);
    let mut set = vec![("amount".to_owned(), 1.0 + this.choices.below(5) as f64)];
    if sides[1] == 1 && this.choices.chance(40) {
        this.count("workgroup size by override");
        head = "@compute @workgroup_size(side)".into();
        set.push(("side".into(), f64::from(sides[0])));
    }
    items.push(Stmt::Fixed(head));
    let main = this.main(lanes, element);
    items.push(Stmt::nest(
        "fn main(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>, @builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) nwg: vec3<u32>, @builtin(local_invocation_index) local: u32)",
        main,
    ));
    let slots = this.slots.max(1) as u32;
    let reals = this.tolerances.len().max(1) as u32;
    items.push(Stmt::Fixed(format!("const SLOTS = {slots}u;\nconst REALS = {reals}u;")));
    items.push(Stmt::Fixed(helpers(&print(&items))));
    let invocations = lanes * groups.iter().product::<u32>();
    let lengths =
        [0, WORDS, FLOATS, invocations * slots, invocations * reals, invocations, 0, 0].map(u64::from).to_vec();
    Program::new(items, lengths, groups, set, this)
}

impl Gen<'_> {
    fn header(&mut self, items: &mut Vec<Stmt>) {
        if self.features.scalars {
            items.push(Stmt::Fixed("enable f16; enable wgpu_int16;".into()));
        }
        items.push(Stmt::Fixed("@id(7) override amount: u32 = 3u;\noverride side: u32 = 4u;".into()));
        self.count("override");
    }

    /// A shape that may lie in a buffer.
    fn shareable(&mut self) -> Shape {
        let ty = loop {
            let ty = self.leaf_type();
            if ty.scalar() != Scalar::Bool {
                break ty;
            }
        };
        match self.choices.below(5) {
            0 => Shape::Array(Box::new(Shape::Leaf(ty)), 1 + self.choices.below(3) as u32),
            1 if !self.structs.is_empty() => Shape::Struct(self.choices.below(self.structs.len())),
            2 if !self.structs.is_empty() => {
                let inner = Shape::Struct(self.choices.below(self.structs.len()));
                Shape::Array(Box::new(inner), 2)
            }
            _ => Shape::Leaf(ty),
        }
    }

    fn structures(&mut self, items: &mut Vec<Stmt>) {
        for i in 0..1 + self.choices.below(3) {
            let members: Vec<(String, Shape)> =
                (0..1 + self.choices.below(4)).map(|m| (format!("m{m}"), self.shareable())).collect();
            let mut body = Vec::new();
            for (name, shape) in &members {
                let leaf = matches!(shape, Shape::Leaf(_));
                let attribute = if leaf { self.choices.pick(&["", "", "", "@align(32) ", "@size(128) "]) } else { "" };
                if !attribute.is_empty() {
                    self.count("layout attribute");
                }
                body.push(Stmt::Line(format!("{attribute}{name}: {},", self.shape_name(shape))));
            }
            let name = format!("S{i}");
            items.push(Stmt::nest(format!("struct {name}"), body));
            self.count("structure");
            self.structs.push(Struct { name, members });
        }
    }

    /// Buffers, private and workgroup memory; what the elements of the shared arrays are.
    fn globals(&mut self, lanes: u32, items: &mut Vec<Stmt>) -> [Shape; 2] {
        let data = Shape::Struct(self.structs.len() - 1);
        let tile = self.shape(1);
        let params: Vec<(String, Shape)> = (0..2 + self.choices.below(3))
            .map(|i| {
                loop {
                    let ty = self.leaf_type();
                    if ty.scalar() != Scalar::Bool {
                        break (format!("p{i}"), Shape::Leaf(ty));
                    }
                }
            })
            .collect();
        let mut members = vec![("count".to_owned(), Shape::Leaf(U32))];
        members.extend(params);
        members.push(("list".into(), Shape::Array(Box::new(Shape::Leaf(Ty::Vector(4, Scalar::I32))), 3)));
        let body = members.iter().map(|(name, shape)| Stmt::Line(format!("{name}: {},", self.shape_name(shape))));
        items.push(Stmt::nest("struct Params", body.collect()));
        self.structs.push(Struct { name: "Params".into(), members });
        let params = Shape::Struct(self.structs.len() - 1);
        let declare = format!(
            "@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read> floats: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;
@group(0) @binding(4) var<storage, read_write> reals: array<f32>;
@group(0) @binding(5) var<storage, read_write> data: array<{}>;
@group(1) @binding(0) var<storage, read_write> counters: array<atomic<u32>, 12>;
@group(1) @binding(1) var<storage, read_write> signed_counters: array<atomic<i32>, 4>;
var<workgroup> tile: array<{}, {lanes}>;
var<workgroup> flags: array<atomic<u32>, 6>;
var<workgroup> swap: atomic<u32>;
var<workgroup> chosen: u32;
var<private> lane: u32;",
            self.shape_name(&data),
            self.shape_name(&tile),
        );
        items.push(Stmt::Fixed(declare));
        self.scope.push(Var::memory("params", params, false));
        self.scope.push(Var::memory("words", Shape::Array(Box::new(Shape::Leaf(U32)), WORDS), false));
        let four = Shape::Leaf(Ty::Vector(4, Scalar::F32));
        self.scope.push(Var::memory("floats", Shape::Array(Box::new(four), FLOATS), false));
        for _ in 0..self.choices.below(3) {
            let (shape, name) = (self.shape(2), self.name("g"));
            self.count("private memory");
            let value = match &shape {
                Shape::Leaf(ty) => format!(" = {}", self.literal(*ty).text),
                _ => String::new(),
            };
            items.push(Stmt::Line(format!("var<private> {name}: {}{value};", self.shape_name(&shape))));
            self.scope.push(Var::memory(name, shape, true));
        }
        [data, tile]
    }

    fn function(&mut self, items: &mut Vec<Stmt>) {
        self.count("function");
        let name = self.name("f");
        let (outer, cost) = (self.scope.len(), self.cost);
        self.cost = 0;
        let args: Vec<Ty> = (0..self.choices.below(4)).map(|_| self.leaf_type()).collect();
        let mut list: Vec<String> = Vec::new();
        for (i, ty) in args.iter().enumerate() {
            list.push(format!("a{i}: {}", ty.name()));
            self.scope.push(Var::value(format!("a{i}"), Shape::Leaf(*ty), Class::tame(ty.scalar())));
        }
        let pointer = self.choices.chance(40).then(|| self.shape(1));
        if let Some(shape) = &pointer {
            list.push(format!("at: ptr<function, {}>", self.shape_name(shape)));
            self.scope.push(Var::memory("(*at)", shape.clone(), true));
        }
        let result = self.leaf_type();
        let context = Context {
            depth: 2,
            in_loop: false,
            breaks_loop: false,
            breaks_switch: false,
            returns: Some(Some(result)),
            entry: false,
        };
        let mut body = Vec::new();
        for _ in 0..1 + self.choices.below(5) {
            self.statement(&context, &mut body);
        }
        let value = self.tamed(result, 3).text;
        body.push(Stmt::Fixed(format!("return {value};")));
        self.scope.truncate(outer);
        items.push(Stmt::nest(format!("fn {name}({}) -> {}", list.join(", "), result.name()), body));
        let own = std::mem::replace(&mut self.cost, cost);
        self.functions.push(Function { name, args, pointer, result, cost: own });
    }

    fn main(&mut self, lanes: u32, [data, tile]: [Shape; 2]) -> Vec<Stmt> {
        self.cost = 0;
        let three = Shape::Leaf(Ty::Vector(3, Scalar::U32));
        for name in ["gid", "lid", "wid", "nwg"] {
            self.scope.push(Var::value(name.into(), three.clone(), Class::UNIT));
        }
        self.scope.push(Var::value("local".into(), Shape::Leaf(U32), Class::UNIT));
        self.sharing.uniform = ["params.count", "wid.x", "nwg.x"].map(str::to_owned).to_vec();
        self.share(Shared { element: data, lanes, at: 0, storage: true, name: "data" });
        self.share(Shared { element: tile, lanes, at: 0, storage: false, name: "tile" });
        let mut body = vec![Stmt::Fixed(format!(
            "let first = (wid.x + wid.y * nwg.x) * {lanes}u; let flat = first + local; lane = flat; _ = amount;"
        ))];
        self.phases(lanes, 2, &mut body);
        self.barrier(true, &mut body);
        self.sharing.over = true;
        body.push(Stmt::Fixed("if local == 0u { atomicXor(&counters[9], atomicLoad(&swap)); }".into()));
        let context = Context { returns: Some(None), ..Self::phase_context() };
        for _ in 0..1 + self.choices.below(4) {
            self.statement(&context, &mut body);
        }
        self.dump(&mut body, 40);
        body
    }

    fn phase_context() -> Context {
        Context { depth: 3, in_loop: false, breaks_loop: false, breaks_switch: false, returns: None, entry: true }
    }

    /// Statements of the entry point with barriers between, all under conditions that the workgroup shares.
    fn phases(&mut self, lanes: u32, depth: u32, out: &mut Vec<Stmt>) {
        for _ in 0..1 + self.choices.below(3) {
            for _ in 0..1 + self.choices.below(4) {
                self.statement(&Self::phase_context(), out);
            }
            match self.choices.below(8) {
                0 => self.uniform_load(lanes, out),
                1..4 if depth > 0 && self.cost < 600 => self.uniform_nest(lanes, depth - 1, out),
                _ => {}
            }
            self.barrier(false, out);
        }
    }

    /// Barriers inside control flow. One that orders everything stands before, and one ends the inside:
    /// whether or how often the inside runs, what is before, in it and after it stays apart.
    fn uniform_nest(&mut self, lanes: u32, depth: u32, out: &mut Vec<Stmt>) {
        self.barrier(true, out);
        let (outer, times, uniforms) = (self.scope.len(), self.times, self.sharing.uniform.len());
        let value = self.uniform();
        let way = self.choose(&["barrier in a loop", "barrier in an if", "barrier in a switch"]);
        let looped = way == "barrier in a loop";
        if looped {
            self.times *= 2;
        }
        let mut body = Vec::new();
        self.phases(lanes, depth, &mut body);
        self.barrier(true, &mut body);
        self.times = times;
        self.scope.truncate(outer);
        self.sharing.uniform.truncate(uniforms);
        let name = self.name("k");
        out.push(match way {
            "barrier in a loop" => {
                Stmt::nest(format!("for (var {name} = 0u; {name} < ({value}) % 3u; {name}++)"), body)
            }
            "barrier in an if" => Stmt::nest(format!("if ({value}) % 2u == 1u"), body),
            _ => {
                let clause = Stmt::nest("case 0u, 1u:", body);
                Stmt::nest(format!("switch ({value}) % 3u"), vec![clause, Stmt::Fixed("default: {}".into())])
            }
        });
    }
}
