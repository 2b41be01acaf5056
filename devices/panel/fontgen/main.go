// Command fontgen writes devices/panel/font.bin: of the bitmap font's simplified
// Chinese face the characters of GB 2312, which are all that screens say, and
// those beyond it that are usual in names of people and places. So the font module with its six faces (2.5 MB) and the tables
// of x/text behind it stay out of the program. Not shipped.
package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"image"
	"os"
	"strings"

	"github.com/hajimehoshi/bitmapfont/v4"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// names are characters of GBK beyond GB 2312 that names have.
const names = "亖伋伷佺侁俍俶倓倞倢倧偀偁偉傑傒傕傢僡儁儫儼冏冔凃凊凓凞凱勍勣匋卻厷厹叆叒叚叡呡咗咘咡咥唅唞啟啱喆喬嘒嘚嘢噐國坉坔垚垟垯" +
	"垱埗埡埮埼堃堉堌堎堔堖堟堽塆塝墈墘墿壆壊壢壵夆奀奭妘妧妴妶姈姌姍姞姮姱姵娍娚娬娵婞婠婳媖媗媞媯媱媺嫄嫚嫽嬅嬛嬿孋孖孮宬寀" +
	"寔寕寗寧寬寯寳專尒岀峂峃峇峣峧峯崀崁崋崐崑崒崚崟崬崶嵎嵐嵖嵚嵜嶓嶺巂帡帢幃廙廞弉弢弶彣彥彧彿徠徳忞悅悆悈悰惇惎惔惢惪惲愃" +
	"愔愗愷慜慬憓憲懌懐戰扆掞揚撝擷敔敭敻斕旑旟旸旻旼旽昇昉昐昜昤昦昫昳昺昽時晄晅晉晑晙晛晢晣晥晧晫晳晸暁暅暉暎暐暕暘暟暠暢暤" +
	"暻曄曈曉曌曔曞會杕杙杧東杻枃枊枍枏枒枔枟枲枹柈柊柟柤柷栐栒栟栢栱桖桜桭桯桲梉梌梠梣梴棁棆棐棡棤棨棪棫棳棻棽椆椑椓椪椵楉楊" +
	"楒楓楙楛楢楨楪業楯楶榃榅榊榎榞榮榰槃槑槓様槙槚槜槱槻槾樀樁樂樋樑樛樫樸樹橋橑橚橞機橤橪檊檙檝檞檢檵檽櫂櫆櫈櫔櫟櫨櫻欀權欐" +
	"欽歅歈歓歗歩歷殸殹毌毐氶氾汈汋汘汧汭汷汸沄沇沍沖沚沜沨沬泂泃泇泙泚泜洊洏洑洣洨洭洴洸洺洿浉浐浕浛浟浡浥浬浰涘涢涬涴淏淓淛" +
	"淩淪淯淵淸渕減渟渰湉湊湑湜湞湣湧湯湲湴溁溇溍溎溒溓溚溞溠溦溹滃滆滈滉滍滎滘滙滛滝滪滫滬滭滶滺漁漋漖漢漣漲漴漵漷漸漹漻漼潏" +
	"潒潓潔潕潖潛潟潤潩潬潯潵潽潾澂澆澐澔澗澛澤澥澪澫澭澮澴澼澽濆濈濋濓濘濙濛濟濤濩濬濰濱濲濴濵濼瀅瀆瀇瀍瀏瀔瀘瀝瀞瀟瀠瀧瀨瀬" +
	"瀰瀲瀺瀼灃灆灈灊灘灝灣炆炑炘炟炣炤烉烎烔烜烝烠烺焄焆焌焗焜焞無焺焻煃煇煋煐煒煕煖煚煟煣煥煬煴煵熀熇熈熉熜熥熯熺熻熾燁燊燏" +
	"燐燚營燦燨燫燭燾爀爇爍爔爕爚爟玘玙玚玥珅珣珺琇琎琤瑀瑄瑆瑢瑱璘璟璠瓛畯皝皞眀矞碁祎禛禤秾稑穂翀翙翾芃蒨虓衎袆訚訸詝谞豐赟" +
	"赪郤鄌釒鈊鈺鉅銘銥鋆錡錢鍇鍾鎔鎭鏐锜锽镕镠閎闿陞陽霑霙霨靑靚韡頔頠頵顒颋颕颙颺飏飔駃駿骍骕髙魟鳯鴻鵬鹍鹔鹮黃齊龍龑龘龢"

// The cell of a character, in pixels.
const (
	rows    = 16
	columns = 12
)

func main() {
	data, err := pack()
	if err == nil {
		err = os.WriteFile("font.bin", data, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot write the font: "+err.Error())
		os.Exit(1)
	}
}

// pack gives the file, deflated: a bit for each code point below 0x10000 that
// says whether it is there, another that says whether it is twelve pixels wide
// and not six, then for each that is there its columns from the left, the upper
// row in the lowest bit: the lower bytes of all, then the upper ones. That way it
// deflates best.
func pack() ([]byte, error) {
	have, wide := make([]byte, 0x10000/8), make([]byte, 0x10000/8)
	var lower, upper []byte
	encode := simplifiedchinese.GBK.NewEncoder()
	for r := rune(0x21); r < 0x10000; r++ {
		code, err := encode.Bytes([]byte(string(r)))
		old := len(code) == 1 || len(code) == 2 && code[0] >= 0xA1 && code[0] <= 0xF7 && code[1] >= 0xA1 // GB 2312
		if err != nil || !old && !strings.ContainsRune(names, r) {
			continue
		}
		cell, width, inked := cellOf(r)
		if !inked {
			continue
		}
		have[r/8] |= 1 << (r % 8)
		if width == columns {
			wide[r/8] |= 1 << (r % 8)
		}
		for _, c := range cell {
			lower, upper = append(lower, byte(c)), append(upper, byte(c>>8))
		}
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	for _, part := range [][]byte{have, wide, lower, upper} {
		if _, err := w.Write(part); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// cellOf gives the columns of a character.
func cellOf(r rune) (cell [columns]uint16, width int, inked bool) {
	box, mask, at, _, ok := bitmapfont.FaceSC.Glyph(fixed.P(0, 0), r)
	if !ok {
		return cell, 0, false
	}
	for x := range box.Dx() {
		for y := range rows {
			p := at.Add(image.Pt(x, y))
			if _, _, _, a := mask.At(p.X, p.Y).RGBA(); a != 0 {
				cell[x] |= 1 << y
				inked = true
			}
		}
	}
	return cell, box.Dx(), inked
}
