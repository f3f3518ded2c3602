//! stub
#![allow(missing_docs)]
use crate::model::TableLayout;
pub struct D; impl D { pub fn is_capacity(&self)->bool{false} } impl std::fmt::Display for D { fn fmt(&self,_:&mut std::fmt::Formatter<'_>)->std::fmt::Result{Ok(())}}
pub fn differences(_:&TableLayout,_:&TableLayout)->Vec<D>{vec![]}
pub fn layout_fingerprint(_:&TableLayout)->String{String::new()}
pub struct CopyEstimate; impl CopyEstimate{pub fn new(_:u64,_:u64,_:&TableLayout,_:Option<f64>,_:Option<f64>)->Self{Self}} impl std::fmt::Display for CopyEstimate { fn fmt(&self,_:&mut std::fmt::Formatter<'_>)->std::fmt::Result{Ok(())}}
